/**
 * Traffic of public inference services (`simulations/traces/servegen.ts`) as demand for GPUs: in
 * proportion to it, the peak window being `PEAK_GPU_COUNT`.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { Rng } from "../../core/index.ts";
import {
  alongPath,
  readServegen,
  scaledToPeak,
  totalOf,
  type DemandTrace,
} from "../../simulations/index.ts";

export interface Traffic {
  readonly name: string;
  readonly stepMs: number;
  /** GPUs wanted, one value a step; holes are filled. */
  readonly demand: readonly number[];
  /** What was collected: demand, but nothing in holes. */
  readonly collected: readonly number[];
  /** Whether a step lies in a hole. */
  readonly hole: readonly boolean[];
  readonly mean: number;
}

const PEAK_GPU_COUNT = 1_000;
const PATH_STEP_MS = 10_000;

/** Where the folder has a series, if it does. */
export function trafficFile(dataDir: string, name: string): string {
  return join(dataDir, "servegen", `${name}_aggregate.csv.gz`);
}

/** The windows of a series. @throws when its file is missing or has another layout */
export function readTraffic(dataDir: string, name: string): DemandTrace {
  const file = trafficFile(dataDir, name);
  const text = gunzipSync(readFileSync(file)).toString("utf8");
  return scaledToPeak(readServegen(text, file, { name, functionId: name }), PEAK_GPU_COUNT);
}

/** A trace as demand. */
export function trafficOf({ name, stepMs, windowMs, series, imputed }: DemandTrace): Traffic {
  const demand = [...totalOf(series)];
  const hole = demand.map((_, step) => imputed[Math.floor((step * stepMs) / windowMs)] === 1);
  return {
    name,
    stepMs,
    demand,
    collected: demand.map((wanted, step) => (hole[step] === true ? 0 : wanted)),
    hole,
    mean: demand.reduce((sum, wanted) => sum + wanted, 0) / demand.length,
  };
}

/**
 * The same demand every ten seconds, on bridges between the middles of windows. An assumption:
 * nothing is known of what happens within a window.
 */
export function pathThrough(windows: DemandTrace, rng: Rng): Traffic {
  return trafficOf(alongPath(windows, { kind: "bridge", stepMs: PATH_STEP_MS, rng }));
}
