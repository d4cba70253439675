/** What a controller is made of and is told, beside its ports (`ports.ts`). */
import type { Clock, CloudName, IdSource, MicroUsd, PoolPolicy } from "../core/index.ts";
import type { Provider } from "../providers/index.ts";
import type { Order, OrderOutcome } from "./orders.ts";
import type { AgentSightings, PoolEvent, PoolFacts, PoolLedger } from "./ports.ts";
import type { Rent } from "./renting.ts";

/** What it keeps nodes with, and by which rules. */
export interface PoolControllerOptions {
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly ledger: PoolLedger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: PoolPolicy;
  /** Tag value on all our machines; machines with another are never touched. */
  readonly clusterId: string;
  /** For whom machines are rented, a tag of all of them; absent means no such tag. */
  readonly owner?: string;
  /** What the machines of a batch are given at their first boot; the same each time. */
  readonly userDataFor: (rent: Rent) => Promise<string> | string;
  /** Most nodes of one request; `RENT_COUNT_MAX` when absent. */
  readonly batchCountMax?: number;
  /** Most that the fleet may cost an hour, which plans keep to; absent means no limit. */
  readonly budgetMicroUsdPerHourMax?: MicroUsd;
  /** Must not throw. */
  readonly onEvent: (event: PoolEvent) => void;
  /** Least time between two listings of one provider; 5 s when absent. */
  readonly listEveryMs?: number;
}

/** Facts whose agents are those of one moment. */
export type SettledFacts = PoolFacts & { readonly agents: AgentSightings };

/** An order whose giver waits for what comes of it. */
export interface WaitingOrder {
  readonly order: Order;
  readonly resolve: (outcome: OrderOutcome) => void;
  readonly reject: (error: unknown) => void;
}
