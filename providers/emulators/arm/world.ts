/** What the calls act on: one emulated Azure with all its subscriptions and regions. */
import type { Clock, Rng } from "../../../core/index.ts";
import type { Capacity } from "./capacity.ts";
import type { MachineFleet } from "./fleet.ts";
import type { OperationBoard } from "./operations.ts";
import type { RetailPrices } from "./retail-prices.ts";
import type { ResourceStore } from "./resources/store.ts";
import type { EmulatorSettings } from "./settings.ts";

export interface World {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly regions: readonly string[];
  readonly settings: () => EmulatorSettings;
  readonly fleet: MachineFleet;
  readonly store: ResourceStore;
  readonly operations: OperationBoard;
  readonly capacity: Capacity;
  readonly prices: RetailPrices;
  /** `subscription/group` in lower case, with the group's location. */
  readonly resourceGroups: Map<string, ResourceGroup>;
  /** The next place in the order of all resources. */
  readonly nextSequence: () => number;
}

export interface ResourceGroup {
  readonly subscriptionId: string;
  readonly name: string;
  readonly location: string;
  tags: Readonly<Record<string, string>>;
}

/** The availability zones of every region. */
export const ZONES: readonly string[] = ["1", "2", "3"];

/** What every listed thing has. */
interface Listed {
  readonly createdAtMs: number;
  readonly deletedAtMs?: number | undefined;
}

/** Whether a list shows a resource by now: new ones late, gone ones for a while. */
export function isListed({ createdAtMs, deletedAtMs }: Listed, world: World): boolean {
  const { listLagMs, flickerMs, flickerFraction, deletedListedMs } = world.settings();
  const nowMs = world.clock.nowMs();
  const seenForMs = nowMs - createdAtMs - listLagMs;
  if (seenForMs < flickerMs && world.rng.next() < flickerFraction) return false;
  const isGone = deletedAtMs !== undefined && nowMs - deletedAtMs >= deletedListedMs;
  return seenForMs >= 0 && !isGone;
}

/** Drops what no list can show any more. */
export function forgetTheGone(world: World): void {
  const beforeMs = world.clock.nowMs() - world.settings().deletedListedMs;
  world.fleet.forgetDeletedBefore(beforeMs);
  world.store.forgetDeletedBefore(beforeMs);
}

/** A UUID drawn from the world's chance. */
export function uuidFrom(rng: Rng): string {
  const hex = (length: number) => Array.from({ length }, () => rng.below(16).toString(16)).join("");
  return [8, 4, 4, 4, 12].map(hex).join("-");
}
