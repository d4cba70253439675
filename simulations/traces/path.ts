/**
 * How rates move within measured windows, of which nothing is known: an assumption, to be varied.
 *
 * - `step`: the window's rate throughout, so each window has exactly its mean. Hostile: all change
 *   comes at the edges of windows.
 * - `linear`: straight lines between the middles of windows. A window has
 *   (before + 6 * own + after) / 8 as its mean; the sum over the whole series is exact. Too kind.
 * - `bridge`: between two middles a Brownian bridge in logs, with the volatility of the windows
 *   around: sd^2 = mean squared log change over the `VOLATILITY_REACH` changes to each side. It
 *   has the window's rate exactly at the window's middle; means hold only roughly (a convex
 *   function of a symmetric walk is a little higher: by about sd^2 / 12).
 *
 * Before the first and after the last middle the level is held (`linear`), or left and met again
 * (`bridge`). Next to a window without any demand, whose log does not exist, a bridge is a line.
 */
import { assert, type Rng } from "../../core/index.ts";
import { normal } from "../chance.ts";
import type { DemandTrace, PathKind } from "./trace.ts";

/** Windows to each side over which local volatility is taken. */
const VOLATILITY_REACH = 3;

export interface PathOptions {
  readonly kind: PathKind;
  /** Of which a window has a whole number. */
  readonly stepMs: number;
  /** Each series draws from its own fork, by the id of its function. */
  readonly rng: Rng;
}

/** A trace of windows, in finer steps. O(steps). */
export function alongPath(trace: DemandTrace, { kind, stepMs, rng }: PathOptions): DemandTrace {
  assert(trace.stepMs === trace.windowMs, "a path leads through windows as they were measured");
  const stepCount = trace.windowMs / stepMs;
  assert(
    Number.isInteger(stepCount) && stepCount >= 1,
    `a window of ${trace.windowMs} ms has no whole number of steps of ${stepMs} ms`,
  );
  return {
    ...trace,
    stepMs,
    series: trace.series.map(({ functionId, perSecond }) => ({
      functionId,
      perSecond: PATHS[kind](perSecond, stepCount, rng.fork(functionId)),
    })),
  };
}

type Path = (windows: Float64Array, stepCount: number, rng: Rng) => Float64Array;

const PATHS: Readonly<Record<PathKind, Path>> = {
  step: (windows, stepCount) =>
    new Float64Array(windows.length * stepCount).map(
      (_, step) => windows[Math.floor(step / stepCount)] ?? 0,
    ),
  linear: (windows, stepCount) =>
    new Float64Array(windows.length * stepCount).map((_, step) =>
      between(windows, (step + 0.5) / stepCount - 0.5),
    ),
  bridge: bridges,
};

/** The value at a place between windows, 0 being the first; held beyond the ends. */
function between(windows: Float64Array, place: number): number {
  const left = Math.floor(place);
  const from = windows[Math.max(0, left)] ?? 0;
  const to = windows[Math.min(windows.length - 1, left + 1)] ?? 0;
  return from + (to - from) * (place - left);
}

function bridges(windows: Float64Array, stepCount: number, rng: Rng): Float64Array {
  const path = new Float64Array(windows.length * stepCount);
  const logs = windows.map((rate) => Math.log(rate));
  const edges = rng.fork("edges");
  const middle = Math.floor(stepCount / 2);
  for (let window = -1; window < windows.length; window += 1) {
    const isEdge = window < 0 || window === windows.length - 1;
    const from = Math.max(0, window);
    const to = Math.min(windows.length - 1, window + 1);
    const ends = { from: windows[from] ?? 0, to: windows[to] ?? 0 };
    const deviation = localVolatility(logs, from) / Math.sqrt(stepCount);
    const first = window * stepCount + middle;
    bridge(path, { first, stepCount, ...ends, deviation, rng: isEdge ? edges : rng });
  }
  return path;
}

interface Bridge {
  /** Index of its first step, which has the rate `from`; steps before 0 are passed over. */
  readonly first: number;
  readonly stepCount: number;
  readonly from: number;
  readonly to: number;
  /** Standard deviation of the log's change in one step. */
  readonly deviation: number;
  readonly rng: Rng;
}

function bridge(path: Float64Array, span: Bridge): void {
  const { first, stepCount, from, to, deviation, rng } = span;
  const isLine = from === 0 || to === 0;
  const end = Math.log(to);
  let log = Math.log(from);
  for (let step = 0; step < stepCount; step += 1) {
    const index = first + step;
    const rate = isLine ? from + ((to - from) * step) / stepCount : Math.exp(log);
    if (index >= 0 && index < path.length) path[index] = step === 0 ? from : rate;
    if (isLine) continue;
    const left = stepCount - step;
    log += (end - log) / left + deviation * Math.sqrt((left - 1) / left) * normal(rng);
  }
}

/** Root mean square log change from window to window around one; 0 when none is known. */
function localVolatility(logs: Float64Array, window: number): number {
  let sum = 0;
  let count = 0;
  for (let at = window - VOLATILITY_REACH; at <= window + VOLATILITY_REACH; at += 1) {
    const change = (logs[at + 1] ?? Number.NaN) - (logs[at] ?? Number.NaN);
    if (!Number.isFinite(change)) continue;
    sum += change ** 2;
    count += 1;
  }
  return Math.sqrt(sum / Math.max(1, count));
}
