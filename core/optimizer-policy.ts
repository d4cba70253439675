/** What an operator may tune about planning: solver, hard rules, and the prices of what is soft. */
import type { CloudName, GpuType } from "./offer.ts";
import { MS_PER_MINUTE, MS_PER_SECOND, type MicroUsd } from "./units.ts";

export type SolverName = "highs" | "glpk" | "javascript-lp";

/**
 * The terms of the objective, all in USD per hour:
 * - `rent`: of all nodes but reserved ones;
 * - `committed`: of reserved nodes, used or not: sunk, so it never decides;
 * - `reclaim`: reclaims expected of spot nodes, times what one costs;
 * - `churn`: launches and releases, spread over the horizon;
 * - `egress`: traffic of containers away from their home regions;
 * - `region`: what policy charges for a region;
 * - `preference`: steps down the lists of GPU types;
 * - `concentration`: GPUs beyond the free share of one cloud, region or zone;
 * - `unmet`: demand left unserved.
 */
export const OBJECTIVE_TERMS = [
  "rent",
  "committed",
  "reclaim",
  "churn",
  "egress",
  "region",
  "preference",
  "concentration",
  "unmet",
] as const;
export type ObjectiveTerm = (typeof OBJECTIVE_TERMS)[number];

/** Terms that may be switched off. */
export type OptionalTerm = Exclude<ObjectiveTerm, "rent" | "committed" | "unmet">;

/** A hard rule: how much of all rented GPUs may, or must, be in one part of the market. */
export interface ShareRule {
  readonly of: "cloud" | "region" | "purchase";
  /** Such as `aws`, `eu-west-1` or `spot`. */
  readonly name: string;
  /** 0..1. */
  readonly minFraction?: number;
  /** 0..1. */
  readonly maxFraction?: number;
}

/** A soft rule: what it costs to put many eggs in one basket. */
export interface ConcentrationRule {
  readonly of: "cloud" | "region" | "zone";
  /** Share of all rented GPUs that each of them may hold without a price, 0..1. */
  readonly freeFraction: number;
  /** Price of each GPU beyond that share. */
  readonly microUsdPerGpuHour: MicroUsd;
}

/** Bounds of the idle GPUs held ready of one type. */
export interface BufferBounds {
  readonly gpuCountMin?: number;
  readonly gpuCountMax?: number;
}

/** How much healthy, idle capacity to hold ready. */
export interface BufferPolicy {
  /** What it is worth that work which needs one GPU does not wait, per GPU and hour; 0: nothing. */
  readonly waitMicroUsdPerGpuHour: MicroUsd;
  /** Bounds of the quantile of demand that is held, 0..1, whatever the prices say. */
  readonly quantileMin: number;
  readonly quantileMax: number;
  /** Share of inputs that may wait over 2 s for a slot; margins are corrected until it is met. */
  readonly missFractionTarget: number;
  /** Bounds by GPU type; a type without an entry has none. */
  readonly byGpuType: Readonly<Partial<Record<GpuType, BufferBounds>>>;
}

export interface OptimizerPolicy {
  readonly solver: SolverName;
  readonly solveTimeLimitMs: number;
  /** Relative gap at which a plan is good enough, 0..1. */
  readonly gapFraction: number;
  /** Most that rent may cost an hour, committed nodes included; absent means no limit. */
  readonly budgetMicroUsdPerHourMax?: MicroUsd;
  /** Clouds that may be rented from; absent means all configured ones. */
  readonly clouds?: readonly CloudName[];
  /** Regions that may be rented in; absent means all. */
  readonly regions?: readonly string[];
  readonly spotAllowed: boolean;
  readonly shares: readonly ShareRule[];
  readonly concentration: readonly ConcentrationRule[];
  /** Terms left out of the objective; they are then reported as 0. */
  readonly ignoredTerms: readonly OptionalTerm[];
  /** What one reclaim of one node costs in lost work and waiting. */
  readonly interruptionMicroUsd: MicroUsd;
  /** One launch or release, amortised over the horizon by the objective. */
  readonly churnMicroUsd: MicroUsd;
  /** How far ahead a plan looks, for amortising one-time costs. */
  readonly horizonMs: number;
  /** Price of a GiB that leaves a cloud's region for a container's home; absent clouds cost 0. */
  readonly egressMicroUsdPerGib: Readonly<Partial<Record<CloudName, MicroUsd>>>;
  /** Price of each container in a region, by region; absent ones cost 0. */
  readonly regionMicroUsdPerContainerHour: Readonly<Record<string, MicroUsd>>;
  /** Price added per step down a function's list of GPU types, as a fraction of rent. */
  readonly gpuPreferencePenaltyFraction: number;
  /** Savings below this fraction of the present cost do not move machines. */
  readonly hysteresisFraction: number;
  /** Unmet demand price used when a demand class states none. */
  readonly unmetMicroUsdPerHour: MicroUsd;
  readonly buffers: BufferPolicy;
}

/** None is held: nothing is rented that nobody asked for until waiting has a price. */
export const DEFAULT_BUFFER_POLICY: BufferPolicy = {
  waitMicroUsdPerGpuHour: 0,
  quantileMin: 0,
  quantileMax: 0.99,
  missFractionTarget: 0.005,
  byGpuType: {},
};

export const DEFAULT_OPTIMIZER_POLICY: OptimizerPolicy = {
  solver: "highs",
  solveTimeLimitMs: 5 * MS_PER_SECOND,
  gapFraction: 0.001,
  spotAllowed: true,
  shares: [],
  concentration: [],
  ignoredTerms: [],
  interruptionMicroUsd: 2_000_000,
  churnMicroUsd: 50_000,
  horizonMs: 60 * MS_PER_MINUTE,
  egressMicroUsdPerGib: {},
  regionMicroUsdPerContainerHour: {},
  gpuPreferencePenaltyFraction: 0.02,
  hysteresisFraction: 0.05,
  unmetMicroUsdPerHour: 1_000_000_000,
  buffers: DEFAULT_BUFFER_POLICY,
};
