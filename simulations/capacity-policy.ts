/** Who decides how many nodes of each offer there should be; ours, or a baseline. */
import type { ContainerNeeds, Offer, PoolPolicy } from "../core/index.ts";
import type { PlanMemory } from "../optimizer/index.ts";
import type { DesiredLine, SeenWork } from "../pool/index.ts";

/** What is known of one function's work. */
export interface FunctionLoad {
  readonly functionId: string;
  readonly needs: ContainerNeeds;
  /** Inputs a second since the last look. */
  readonly arrivedPerSecond: number;
  /** The same, smoothed over about 20 s. */
  readonly arrivalsPerSecond: number;
  /** Mean time that a container works on an input; absent until one has finished. */
  readonly serviceMs?: number;
  /** Inputs in containers now. */
  readonly running: number;
  /** Inputs that wait. */
  readonly backlog: number;
  /** Containers that it has, on nodes and waiting for one. */
  readonly containers: number;
  /** Those of them that wait for one. */
  readonly waiting: number;
  /** Inputs that one container runs at once. */
  readonly concurrency: number;
  /** Containers that are kept whatever comes. */
  readonly floor: number;
  readonly maxContainers: number;
  /** Most containers that were busy at one moment since the last look. */
  readonly busyPeak: number;
}

/** The fleet of one offer. */
export interface OfferFleet {
  readonly offer: Offer;
  /** Requested, booting and ready nodes; those that drain are left out. */
  readonly nodeCount: number;
}

/** What a policy sees at one moment. */
export interface CapacityView {
  readonly nowMs: number;
  /** What may be rented now: nothing that was refused a moment ago. */
  readonly offers: readonly Offer[];
  readonly fleet: readonly OfferFleet[];
  readonly functions: readonly FunctionLoad[];
  /** Inputs since the last look that were given a slot, and those of them that waited over 2 s. */
  readonly started: number;
  readonly missed: number;
}

/** What a policy says. */
export interface CapacityAnswer {
  readonly lines: readonly DesiredLine[];
  /** Idle GPUs among them, for charts. */
  readonly bufferGpuCount: number;
  /** What the planner says of its plan, where there is one. */
  readonly plan?: {
    readonly isFallback: boolean;
    readonly gapFraction: number;
    readonly unmetContainers: number;
  };
}

/** Highest values of the last while, by what they are of. Plain data. */
export type HeldPeaks = Map<string, { readonly atMs: number; readonly value: number }[]>;

/** What a policy remembers. Plain data. */
export type PolicyState =
  | {
      readonly kind: "planner";
      readonly seen: SeenWork;
      readonly memory: PlanMemory;
      readonly key: string;
      readonly answer: CapacityAnswer;
    }
  | { readonly kind: "hold"; readonly nodes: HeldPeaks }
  | {
      readonly kind: "consolidating";
      readonly nodes: HeldPeaks;
      readonly pods: HeldPeaks;
      readonly retiring: Map<string, number>;
      readonly before: Map<string, number>;
      readonly lastRoundMs: number;
    };

/** A policy under way: it may remember. */
export interface CapacityPolicy {
  readonly name: string;
  /** How the pool is to act on what it says; its hold belongs to the policy. */
  readonly pool: PoolPolicy;
  decide(view: CapacityView): Promise<CapacityAnswer> | CapacityAnswer;
  /** What it remembers, by reference; absent with `resume` where that is nothing. */
  save?(): PolicyState;
  /** Remembers what another policy of its kind did, and nothing else. */
  resume?(state: PolicyState): void;
}
