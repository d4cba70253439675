import type { PoolBookState } from "./book.ts";
import type { ConsolidationMemory } from "./consolidate.ts";
import type { HeldPlan } from "./held-plan.ts";
import type { LaunchBuckets } from "./launch-rate.ts";
import type { SightingsState } from "./sightings.ts";

/**
 * Everything that a controller remembers between two ticks, so that another one goes on exactly as
 * it would have: for simulations that stop and go on. A new process of production needs none of
 * it: what must outlive a controller is in its ledger.
 *
 * Left out: surveys of accounts, which only providers of real clouds make, and when each provider
 * was listed last, which matters only where listings are not made at each tick. Plain data.
 */
export interface PoolControllerState {
  readonly sightings: SightingsState;
  readonly book: PoolBookState;
  readonly launches: LaunchBuckets;
  readonly watchingSinceMs: number;
  readonly tickedAtMs: number;
  readonly heldPlan: HeldPlan;
  readonly worthSinceMs: ConsolidationMemory["worthSinceMs"];
}
