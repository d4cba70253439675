/**
 * A fleet that never changes: enough for the peak of the trace, times a factor. It knows the
 * trace, as somebody does who sizes a fleet by last month's peak.
 */
import type { OptimizerPolicy } from "../../core/index.ts";
import type { CapacityAnswer, CapacityPolicy, CapacityView } from "../capacity-policy.ts";
import { demandClassKey, MS_PER_SECOND } from "../../core/index.ts";
import type { DemandTrace } from "../traces/trace.ts";
import type { SimulatedFunction } from "../world.ts";
import { answerOf, BASELINE_POOL_POLICY } from "./answer.ts";
import { cover, usedNodes } from "./cover.ts";
import type { WantedContainers } from "./wanted.ts";

export interface StaticInput {
  readonly trace: DemandTrace;
  readonly functions: readonly SimulatedFunction[];
  /** Of the peak; 1 is the peak itself. */
  readonly factor: number;
  readonly policy: OptimizerPolicy;
}

/** The fleet for the highest window of the trace. */
export function staticPeak(name: string, input: StaticInput): CapacityPolicy {
  const { policy, factor } = input;
  const wanted = peakContainers(input);
  const decide = (view: CapacityView): CapacityAnswer => {
    const { offers, fleet } = view;
    const counts = usedNodes(cover({ wanted, offers, fleet, policy }));
    return answerOf(counts, view, `the peak of the trace, times ${factor}`);
  };
  return { name, pool: BASELINE_POOL_POLICY, decide };
}

/**
 * Containers that the highest window keeps busy, by kind: functions with equal needs peak
 * together, at the time when their sum does.
 */
function peakContainers({ trace, functions, factor }: StaticInput): readonly WantedContainers[] {
  const perWindow = trace.windowMs / trace.stepMs;
  const kinds = new Map<string, { readonly one: SimulatedFunction; readonly load: Float64Array }>();
  for (const one of functions) {
    const series = trace.series.find(({ functionId }) => functionId === one.functionId);
    if (series === undefined) continue;
    const key = demandClassKey(one.needs);
    const windowCount = Math.ceil(series.perSecond.length / perWindow);
    const kind = kinds.get(key) ?? { one, load: new Float64Array(windowCount) };
    kinds.set(key, kind);
    const perRate = one.service.meanMs / MS_PER_SECOND / one.concurrency / perWindow;
    for (const [step, rate] of series.perSecond.entries()) {
      const window = Math.floor(step / perWindow);
      kind.load[window] = (kind.load[window] ?? 0) + rate * perRate;
    }
  }
  return [...kinds.values()].flatMap(({ one, load }) => {
    const peak = load.reduce((most, busy) => Math.max(most, busy), 0);
    const count = Math.ceil(peak * factor);
    return count > 0 ? [{ needs: one.needs, count }] : [];
  });
}
