/** How large a fleet a trace asks for. */
import { MS_PER_SECOND } from "../../core/index.ts";
import type { DemandTrace } from "../traces/trace.ts";
import type { SimulatedFunction } from "../world.ts";

/** GPUs that the highest window keeps busy, by Little's law. */
export function peakGpusOf(trace: DemandTrace, functions: readonly SimulatedFunction[]): number {
  const perWindow = trace.windowMs / trace.stepMs;
  const windows = new Float64Array(trace.imputed.length + 1);
  const known = new Map(functions.map((one) => [one.functionId, one]));
  for (const { functionId, perSecond } of trace.series) {
    const one = known.get(functionId);
    if (one === undefined) continue;
    const { needs, service, concurrency } = one;
    const gpus = ((needs.gpu?.count ?? 0) * service.meanMs) / MS_PER_SECOND / concurrency;
    for (const [step, rate] of perSecond.entries()) {
      const window = Math.floor(step / perWindow);
      windows[window] = (windows[window] ?? 0) + (rate * gpus) / perWindow;
    }
  }
  return windows.reduce((most, one) => Math.max(most, one), 0);
}
