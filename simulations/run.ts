/**
 * Flies one policy through one world: the only file here that reads files. Everything else of a
 * run is pure (`runs/`, `engine/`).
 */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { messageOf, PlatformError, type Policy } from "../core/index.ts";
import { createSolvers } from "../optimizer/index.ts";
import {
  bestTuned,
  reactiveGrid,
  type ReactiveParameters,
  type TunedRun,
} from "./baselines/reactive.ts";
import { Flight, type FlightOptions } from "./engine/flight.ts";
import { createPolicy, policyNamed } from "./policies/named.ts";
import type { SimulationResult } from "./result.ts";
import { buildWorld } from "./runs/build-world.ts";
import type { RunSpec } from "./runs/run-spec.ts";
import { worldWithin, type Span } from "./runs/span.ts";
import { durationMsOf } from "./traces/trace.ts";
import type { World } from "./world.ts";

/** Which policy flies, and how often chance is thrown. */
export interface FlightOrder extends Pick<
  FlightOptions,
  "signal" | "onProgress" | "from" | "checkpoint"
> {
  /** One of `POLICY_NAMES`. */
  readonly policyName: string;
  readonly seed: number;
  readonly overrides?: {
    /** Instead of the spec's policy. */
    readonly policy?: Policy;
    /** Instead of looking for the setting of `tuned-reactive`. */
    readonly reactive?: ReactiveParameters;
  };
  /** A part of the world; absent means all. */
  readonly span?: Span;
}

/**
 * One run of a spec. A run keeps its thread busy from its begin to its end: where others should
 * go on, it belongs in a worker thread.
 *
 * @throws PlatformError `invalid_request` for files and numbers that nobody can use; the signal's
 *   reason when it is aborted.
 */
export async function flyOne(spec: RunSpec, order: FlightOrder): Promise<SimulationResult> {
  const { overrides, span, seed, signal, onProgress, from, checkpoint } = order;
  const name = policyNamed(order.policyName);
  const world = worldOf(spec, overrides?.policy);
  const isTuned = name === "tuned-reactive";
  const reactive = overrides?.reactive ?? (isTuned ? await tuneReactive(spec, order) : undefined);
  const part = span === undefined ? world : worldWithin(world, span);
  const policy = createPolicy(name, part, { solvers: (solvers ??= createSolvers()), reactive });
  const flight = new Flight(part, policy, {
    seed,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
    ...(from === undefined ? {} : { from }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  });
  return await flight.run();
}

/** The world of a spec, its files read. @throws PlatformError `invalid_request`. */
export function readWorld(spec: RunSpec): World {
  return buildWorld(spec, readText);
}

/**
 * The text of a file, unpacked where it is gzipped.
 *
 * @throws PlatformError `invalid_request` when it cannot be read.
 */
export function readText(file: string): string {
  try {
    const bytes = readFileSync(file);
    const isPacked = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return (isPacked ? gunzipSync(bytes) : bytes).toString("utf8");
  } catch (cause) {
    const problem = `cannot read ${file}: ${messageOf(cause)}`;
    throw new PlatformError(problem, { code: "invalid_request", retryable: false, cause });
  }
}

/** The reactive settings that are tried, and the part of the world that they are tried in. */
export function tuningFlights(world: World): {
  readonly grid: readonly ReactiveParameters[];
  readonly span: Span;
} {
  return { grid: reactiveGrid(), span: { fromMs: 0, untilMs: durationMsOf(world.trace) / 2 } };
}

/**
 * The setting of `tuned-reactive`: the cheapest of the grid on the world's first half that keeps
 * to the policy's share of misses, or else the one with the fewest.
 */
export function tunedSetting(runs: readonly TunedRun[], world: World): ReactiveParameters {
  const { missFractionTarget } = world.policy.optimizer.buffers;
  const fewest = runs.reduce((best, run) => (run.missFraction < best.missFraction ? run : best));
  return (bestTuned(runs, missFractionTarget) ?? fewest).parameters;
}

async function tuneReactive(
  spec: RunSpec,
  { overrides, signal }: FlightOrder,
): Promise<ReactiveParameters> {
  const world = worldOf(spec, overrides?.policy);
  const { grid, span } = tuningFlights(world);
  const runs: TunedRun[] = [];
  for (const parameters of grid) {
    const result = await flyOne(spec, {
      policyName: "tuned-reactive",
      seed: TUNING_SEED,
      overrides: { ...overrides, reactive: parameters },
      span,
      ...(signal === undefined ? {} : { signal }),
    });
    const { cost, waits } = result;
    runs.push({ parameters, paidMicroUsd: cost.paidMicroUsd, missFraction: waits.missFraction });
  }
  return tunedSetting(runs, world);
}

/** All seeds of a run use the setting that was found with this one. */
export const TUNING_SEED = 1;

let solvers: ReturnType<typeof createSolvers> | undefined;
let last: { readonly key: string; readonly world: World } | undefined;

/** The world of the spec of before is kept: searches fly one world many times. */
function worldOf(spec: RunSpec, policy: Policy | undefined): World {
  const key = JSON.stringify(spec);
  if (last?.key !== key) last = { key, world: readWorld(spec) };
  return policy === undefined ? last.world : { ...last.world, policy };
}
