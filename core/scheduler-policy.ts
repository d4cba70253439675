/** What an operator may tune about placement: strategy, fairness, patience, disruption. */
import { MS_PER_MINUTE } from "./units.ts";

export const STRATEGY_NAMES = [
  "default",
  "fgd",
  "best-fit",
  "dot-product",
  "packing",
  "spread",
] as const;

/** How the node of a container is chosen among those that fit (scheduler/README.md). */
export type StrategyName = (typeof STRATEGY_NAMES)[number];

/**
 * What a workspace may have. Its share is the largest part that it holds of any one resource
 * of the fleet: its dominant share.
 */
export interface WorkspaceQuota {
  /** Share it gets back from borrowers when it needs it, 0..1; absent means 0. */
  readonly guaranteedFraction?: number;
  /** Most it may hold, borrowed or not, 0..1; absent means all. */
  readonly maxFraction?: number;
  /** GPUs it may hold, shares counted as such; absent means any number. */
  readonly gpuCountMax?: number;
  /** What it counts against others when all want more; absent means 1. */
  readonly weight?: number;
}

/** Moving running containers, so that a large request fits or a node can be given back. */
export interface RepackPolicy {
  /** Whether containers are moved at all. */
  readonly allowed: boolean;
  /** Time between two plans of moves. */
  readonly everyMs: number;
  /** Containers that one plan moves at most. */
  readonly moveCountMax: number;
  /** GPUs that the containers of one plan hold at most. */
  readonly gpuCountMax: number;
  /** A container that has not finished its inputs by then stays where it is. */
  readonly drainTimeoutMs: number;
}

export interface SchedulerPolicy {
  readonly strategy: StrategyName;
  /** By workspace id; those without an entry have no guarantee and no limit. */
  readonly quotas: Readonly<Record<string, WorkspaceQuota>>;
  /** A request that has waited so long goes first and gets a node kept free for it. */
  readonly patienceMs: number;
  /** Nodes kept free at most for requests that have waited too long, as a part of the fleet. */
  readonly reservedFractionMax: number;
  /** Containers ended at most in one round for more important ones; 0 switches it off. */
  readonly evictionCountMaxPerRound: number;
  readonly repack: RepackPolicy;
}

export const DEFAULT_SCHEDULER_POLICY: SchedulerPolicy = {
  strategy: "default",
  quotas: {},
  patienceMs: 5 * MS_PER_MINUTE,
  reservedFractionMax: 0.1,
  evictionCountMaxPerRound: 20,
  repack: {
    allowed: false,
    everyMs: MS_PER_MINUTE,
    moveCountMax: 8,
    gpuCountMax: 8,
    drainTimeoutMs: MS_PER_MINUTE,
  },
};
