/** What a round of placement is given, and what it decides. */
import type { Node, PlacedContainer, Rng, SchedulerPolicy } from "../core/index.ts";
import type { DemandMix } from "./demand.ts";
import type { StageCounts } from "./feasibility.ts";

/** The fleet as the scheduler sees it; nodes in any order, each once. */
export interface FleetSnapshot {
  readonly nodes: readonly Node[];
  /** Everything that holds resources on a node, starting containers included. */
  readonly containers: readonly PlacedContainer[];
}

export interface PlaceOptions {
  readonly nowMs: number;
  /** Drawn from only for requests that a node has refused before. */
  readonly rng: Rng;
  /** Absent means the default policy. */
  readonly policy?: SchedulerPolicy;
  /** What comes how often; absent means that the snapshot is all there is to learn from. */
  readonly demand?: DemandMix;
  /** `full` scores every node for every request; for comparison. */
  readonly search?: "index" | "full";
}

/** A container and the node that takes it. */
export interface Placement {
  readonly containerId: string;
  readonly nodeId: string;
  readonly reason: string;
  /** Cards of the node that it gets, numbered from 0; empty without GPUs. */
  readonly cards: readonly number[];
}

/** A container that stays pending, and the constraint that binds. */
export interface Refusal {
  readonly containerId: string;
  /** One sentence for a person. */
  readonly reason: string;
  /** Whether room on some node would help; not so where a limit, it itself or its gang is why. */
  readonly wantsRoom: boolean;
  /** Nodes rejected at each stage; all 0 when no node was looked at. */
  readonly rejected: StageCounts;
}

/** A container that ends so that another gets its room. */
export interface Eviction {
  readonly containerId: string;
  /** Who gets the room; absent when it ends because its own gang is incomplete. */
  readonly forContainerId?: string;
  readonly nodeId: string;
  readonly reason: string;
}

/** A node that takes nothing new until the container has its place. */
export interface Reservation {
  readonly containerId: string;
  readonly nodeId: string;
  /** Whether whatever is in the way there ends: the container need only wait for that. */
  readonly isComingFree: boolean;
}

/** Every request is in exactly one of the first two lists, in the order they were decided. */
export interface PlacementPlan {
  readonly placements: readonly Placement[];
  readonly refusals: readonly Refusal[];
  readonly evictions: readonly Eviction[];
  readonly reservations: readonly Reservation[];
}
