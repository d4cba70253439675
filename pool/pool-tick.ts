import type { CloudName } from "../core/index.ts";
import type { NodeAction } from "./actions.ts";
import type { Fitness } from "./fitness.ts";
import type { PoolRecord } from "./ports.ts";
import type { RefusalMemory } from "./refusals.ts";
import type { Stray } from "./snapshot.ts";
import type { UnclaimedReport } from "./surveyor.ts";
import type { UnseenRegion } from "./unseen.ts";

/** What a tick of the controller saw and did. */
export interface PoolTick {
  /** Open nodes after it, the ones that are not rented included. */
  readonly records: readonly PoolRecord[];
  /** What was decided, in the order applied. */
  readonly actions: readonly NodeAction[];
  /** Clouds that did not answer when they were last asked. */
  readonly unreachableClouds: readonly CloudName[];
  /** Regions and zones of the other clouds that their last listing did not see. */
  readonly unseen: readonly UnseenRegion[];
  /** Refusals that hold now. */
  readonly refusals: RefusalMemory;
  /** Nodes that are unfit, and whether they are so many that none is repaired. */
  readonly fitness: Fitness;
  /** When draining nodes are released even if they are occupied, by node id. */
  readonly releaseByMs: ReadonlyMap<string, number>;
  /** Machines of this cluster that no record owns. */
  readonly strays: readonly Stray[];
  /** Machines of each account that carry no cluster's tag, as last seen. */
  readonly unclaimed: readonly UnclaimedReport[];
}
