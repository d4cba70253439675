/**
 * The pool as this replica keeps it: it decides only while it leads, its writes carry the fence,
 * and what it tells is kept for people to ask about.
 */
import { PlatformError } from "../../core/index.ts";
import {
  PoolController,
  type Order,
  type OrderOutcome,
  type PoolEvent,
  type PoolFacts,
  type PoolTick,
  type DesiredLine,
} from "../../pool/index.ts";
import type { Fence, NewPoolEvent, RecordStore } from "../store/record-store.ts";
import type { Leadership } from "./leadership.ts";
import type { NodeTable } from "./node-table.ts";
import { listenToPool, poolLedgerOf, type PoolListenerOptions } from "./pool-side.ts";

type ControllerOptions = ConstructorParameters<typeof PoolController>[0];

export interface PoolKeeperOptions
  extends
    Omit<ControllerOptions, "ledger" | "onEvent">,
    Omit<PoolListenerOptions, "onEvent" | "onError"> {
  readonly store: Pick<RecordStore, "nodes" | "poolEvents" | "poolMemory">;
  readonly nodes: NodeTable;
  readonly leadership: Pick<Leadership, "lead" | "deposed" | "close">;
  /** Hears what happens to nodes before anybody else; must not throw. */
  readonly onPoolEvent: (event: PoolEvent) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Nobody holds this; a write under it is refused as soon as anybody has led. */
const NO_FENCE: Fence = { name: "pool", token: 0 };

export class PoolKeeper {
  readonly #options: PoolKeeperOptions;
  readonly #controller: PoolController;
  #told: NewPoolEvent[] = [];
  #fence: Fence = NO_FENCE;
  #latest: PoolTick | undefined;

  constructor(options: PoolKeeperOptions) {
    this.#options = options;
    const { nodes, store, clock } = options;
    const listen = listenToPool({ ...options, onEvent: (event) => this.#told.push(event) });
    this.#controller = new PoolController({
      ...options,
      ledger: poolLedgerOf(nodes, store, { clock, fence: () => this.#fence }),
      onEvent: (event) => {
        options.onPoolEvent(event);
        listen(event);
      },
    });
  }

  /** What the last tick saw; undefined before the first one as the leader. */
  get latest(): PoolTick | undefined {
    return this.#latest;
  }

  /** The offers to plan with. */
  openOffers(...args: Parameters<PoolController["openOffers"]>) {
    return this.#controller.openOffers(...args);
  }

  /** Has an order carried out at the next tick. */
  order(order: Order): Promise<OrderOutcome> {
    return this.#controller.order(order);
  }

  /** Whether this replica leads; a new leader takes over what the ledger says and remembers. */
  async leads(): Promise<boolean> {
    const { leadership, nodes, clock } = this.#options;
    const fence = await leadership.lead();
    if (fence === undefined) return false;
    if (fence.token !== this.#fence.token) {
      await nodes.load(clock.nowMs());
      await this.#controller.recall();
    }
    this.#fence = fence;
    return true;
  }

  /** One round of the leader. @throws whatever the ledger throws; `conflict` when deposed */
  async tick(desired: readonly DesiredLine[] | undefined, facts: PoolFacts): Promise<void> {
    try {
      this.#latest = await this.#controller.tick(desired, facts);
    } catch (error) {
      if (error instanceof PlatformError && error.code === "conflict") {
        this.#options.leadership.deposed();
      }
      throw error;
    } finally {
      await this.#keep();
    }
  }

  /** Lets another replica lead. */
  async close(): Promise<void> {
    await this.#options.leadership.close();
  }

  async #keep(): Promise<void> {
    const told = this.#told;
    this.#told = [];
    if (told.length === 0) return;
    try {
      await this.#options.store.poolEvents.append(told);
    } catch (error) {
      this.#options.onError(error, `keeping ${told.length} events of the pool`);
    }
  }
}
