/**
 * Traffic of public inference services as demand for GPUs.
 *
 * Source: ServeGen (arXiv 2505.09999, Apache-2.0): requests per second of one model in windows
 * of ten minutes, summed over its clients. Demand is in proportion to it, its peak being
 * `PEAK_GPU_COUNT`. Windows of (almost) no requests after which the level is back at once are
 * holes of the collection; what was wanted in them is taken to lie on a line between its ends,
 * in logs.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Rng } from "../../core/index.ts";

export interface Traffic {
  readonly name: string;
  readonly stepMs: number;
  /** GPUs wanted, one value a step; holes are filled. */
  readonly demand: readonly number[];
  /** What was collected: demand, but almost nothing in holes. */
  readonly collected: readonly number[];
  /** Whether a step lies in a hole. */
  readonly hole: readonly boolean[];
  readonly mean: number;
}

const WINDOW_MS = 600_000;
const PEAK_GPU_COUNT = 1_000;
/** Windows below this share of the last good one are holes. */
const HOLE_FRACTION = 0.05;
const PATH_STEP_MS = 10_000;
/** Windows to each side over which local volatility is taken. */
const VOLATILITY_REACH = 3;

/** Where the folder has a series, if it does. */
export function trafficFile(dataDir: string, name: string): string {
  return join(dataDir, "servegen", `${name}_aggregate.csv.gz`);
}

/** The windows of a series. @throws Error when its file is missing or no such series */
export function readTraffic(dataDir: string, name: string): Traffic {
  const file = trafficFile(dataDir, name);
  const [header = "", ...rows] = gunzipSync(readFileSync(file)).toString("utf8").trim().split("\n");
  const column = header.split(",").indexOf("total_rate_rps");
  const rates = rows.map((row) => Number(row.split(",")[column]));
  if (rates.length === 0 || !rates.every((rate) => rate >= 0)) {
    throw new Error(`${file} has no column total_rate_rps of rates >= 0`);
  }
  const peak = Math.max(...rates);
  const collected = rates.map((rate) => (rate / peak) * PEAK_GPU_COUNT);
  const hole = holesIn(collected);
  const demand = filled(collected, hole);
  return { name, stepMs: WINDOW_MS, demand, collected, hole, mean: meanOf(demand) };
}

/**
 * The same demand every ten seconds: through the middle of each window, between two of them a
 * Brownian bridge in logs with the volatility of the windows around. An assumption: nothing is
 * known of what happens within a window.
 */
export function pathThrough(traffic: Traffic, rng: Rng): Traffic {
  const logs = traffic.demand.map(Math.log);
  const steps = WINDOW_MS / PATH_STEP_MS;
  const demand: number[] = [];
  const windows: number[] = [];
  for (let window = 0; window + 1 < logs.length; window += 1) {
    const end = logs[window + 1] ?? 0;
    const deviation = localVolatility(logs, window) / Math.sqrt(steps);
    let log = logs[window] ?? 0;
    for (let step = 0; step < steps; step += 1) {
      demand.push(Math.exp(log));
      windows.push(step < steps / 2 ? window : window + 1);
      const left = steps - step;
      log += (end - log) / left + deviation * Math.sqrt((left - 1) / left) * normal(rng);
    }
  }
  const hole = windows.map((window) => traffic.hole[window] ?? false);
  const collected = demand.map((wanted, index) => (hole[index] === true ? 0 : wanted));
  return { ...traffic, stepMs: PATH_STEP_MS, demand, collected, hole, mean: meanOf(demand) };
}

function holesIn(collected: readonly number[]): readonly boolean[] {
  let last = collected[0] ?? 0;
  return collected.map((wanted) => {
    const isHole = wanted < HOLE_FRACTION * last;
    if (!isHole) last = wanted;
    return isHole;
  });
}

function filled(collected: readonly number[], hole: readonly boolean[]): readonly number[] {
  return collected.map((wanted, index) => {
    if (hole[index] !== true) return wanted;
    const from = hole.lastIndexOf(false, index);
    const to = hole.indexOf(false, index);
    const before = collected[from] ?? 0;
    const after = to === -1 ? before : (collected[to] ?? before);
    const span = to === -1 ? Infinity : to - from;
    return before * (after / before) ** ((index - from) / span);
  });
}

/** Root mean square change from window to window around one. */
function localVolatility(logs: readonly number[], window: number): number {
  let sum = 0;
  let count = 0;
  for (let at = window - VOLATILITY_REACH; at <= window + VOLATILITY_REACH; at += 1) {
    const from = logs[at];
    const to = logs[at + 1];
    if (from === undefined || to === undefined) continue;
    sum += (to - from) ** 2;
    count += 1;
  }
  return Math.sqrt(sum / Math.max(1, count));
}

/** Standard normal (Box & Muller 1958). */
function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
