/** What a simulation reports. Plain data: it survives JSON, and everything shown is made of it. */
import { ON_TIME_MS } from "../scheduler/index.ts";

/** Quantiles of times, in milliseconds, weighted by inputs. */
export interface TimeQuantiles {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** Waits of inputs. An input that never ran counts as having waited to the end of the run. */
export interface WaitReport {
  /** From arrival to a slot on a node: in a container that is there, or for one that starts. */
  readonly slot: TimeQuantiles;
  /** From arrival to the first line of user code. */
  readonly firstInstruction: TimeQuantiles;
  /** Share of inputs that waited over 2 s for a slot, 0..1. */
  readonly missFraction: number;
  /** Share of inputs for which a container was started, 0..1. */
  readonly coldStartFraction: number;
}

export interface FunctionReport extends WaitReport {
  readonly functionId: string;
  readonly inputs: number;
  readonly containerStarts: number;
  readonly evictions: number;
}

/** What was paid, in whole micro-dollars, and for what; each map adds up to `paidMicroUsd`. */
export interface CostReport {
  readonly paidMicroUsd: number;
  readonly byOffer: Readonly<Record<string, number>>;
  readonly byCloud: Readonly<Record<string, number>>;
  /** Keys are `cloud/region`. */
  readonly byRegion: Readonly<Record<string, number>>;
  readonly byGpuType: Readonly<Record<string, number>>;
  readonly byPurchase: Readonly<Record<string, number>>;
}

/** GPU-seconds; `useful <= held <= paid`. */
export interface GpuReport {
  /** Inputs ran, without work that a reclaim made vain. */
  readonly usefulGpuSeconds: number;
  /** Containers held them, starting and idle ones included. */
  readonly heldGpuSeconds: number;
  /** From launch to termination, with boot and drain. */
  readonly paidGpuSeconds: number;
  /** Work that a reclaim or a failure made vain. */
  readonly lostGpuSeconds: number;
}

export interface FleetReport {
  readonly launches: number;
  readonly launchFailures: number;
  /** Rents that the market refused. */
  readonly refusals: number;
  readonly reclaims: number;
  readonly releases: number;
  readonly nodesMax: number;
  /** Inputs that ran again because their node or container went. */
  readonly retries: number;
  /** Inputs that had not run at the end. */
  readonly unserved: number;
}

export interface PlanReport {
  readonly plans: number;
  readonly fallbacks: number;
  /** Mean over plans, 0..1. */
  readonly meanGapFraction: number;
  /** Container-hours that plans said they could not serve. */
  readonly unmetContainerHours: number;
}

/** No policy can pay less (`bounds/`). Micro-dollars. */
export interface BoundReport {
  /** All work at the cheapest price. */
  readonly b0MicroUsd: number;
  /** Realised concurrency over 60 s, each launch paying its boot, the future known. */
  readonly b60MicroUsd: number;
}

/** The fleet over time, one value a bucket in each list; for charts. */
export interface Timeline {
  readonly bucketMs: number;
  /** Means over the bucket, in GPUs. */
  readonly offeredGpus: readonly number[];
  readonly busyGpus: readonly number[];
  readonly heldGpus: readonly number[];
  /** Nodes that could take work. */
  readonly readyGpus: readonly number[];
  /** All that is paid. */
  readonly paidGpus: readonly number[];
  /** Idle GPUs that plans asked for. */
  readonly bufferGpus: readonly number[];
  /** Of the inputs that came in the bucket; 0 when none did. */
  readonly slotWaitP99Ms: readonly number[];
  readonly queued: readonly number[];
  /** Micro-dollars in the bucket, by offer; offers that cost nothing are absent. */
  readonly costByOffer: Readonly<Record<string, readonly number[]>>;
}

/** One policy flown through one world with one seed. */
export interface SimulationResult {
  readonly world: string;
  readonly policy: string;
  readonly seed: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly inputs: number;
  readonly events: number;
  readonly cost: CostReport;
  readonly gpu: GpuReport;
  readonly waits: WaitReport;
  /** Sorted by id. */
  readonly functions: readonly FunctionReport[];
  /** Share of the trace's windows whose own p99 of slot waits is over 2 s, 0..1. */
  readonly badWindowFraction: number;
  readonly fleet: FleetReport;
  readonly plans: PlanReport;
  readonly bounds: BoundReport;
  readonly timeline: Timeline;
}

/** An input that waited longer than this for a slot is a miss. */
export const MISS_WAIT_MS = ON_TIME_MS;
