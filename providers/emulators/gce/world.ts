/** What the actions act on: one emulated project with all its zones. */
import type { Clock, Rng } from "../../../core/index.ts";
import type { PriceList } from "./billing/price-list.ts";
import type { Market } from "./market.ts";
import type { FaultEffect } from "./faults.ts";
import type { EmulatedFleet } from "./fleet.ts";
import type { Instance } from "./instance.ts";
import type { Limits, StockoutCode } from "./limits.ts";
import type { Operations } from "./operation.ts";

/** What can be changed while the emulator runs. */
export interface EmulatorSettings {
  /** From an accepted insert to a running instance, which is when the launcher is called. */
  readonly bootMs: number;
  /** Between the end of an instance's process and its deletion. */
  readonly shutdownMs: number;
  /** From an accepted insert to a DONE operation. */
  readonly operationMs: number;
  /** A new instance is in no listing and found by no name for this long. */
  readonly visibilityMs: number;
  /** After that, and until this age, an instance is missing from some listings ... */
  readonly flickerMs: number;
  /** ... from this share of them. */
  readonly flickerFraction: number;
  /** From a preemption to the end of the process; 30 s as Compute Engine gives Spot machines. */
  readonly noticeMs: number;
  /** A request id stands for its operation for this long. */
  readonly requestMemoryMs: number;
  /** Every answer is held back this long. */
  readonly latencyMs: number;
  /** Zones that aggregated listings cannot reach. */
  readonly unreachableZones: readonly string[];
  /** What `projects.testIamPermissions` says the caller lacks; no call is refused for it. */
  readonly deniedPermissions: readonly string[];
  readonly stockoutCode: StockoutCode;
}

export interface World {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly projectId: string;
  /** Of the form `http://127.0.0.1:1234/compute/v1`. */
  readonly baseUrl: () => string;
  readonly market: Market;
  readonly settings: () => EmulatorSettings;
  readonly fleet: EmulatedFleet;
  readonly operations: Operations;
  readonly limits: Limits;
  readonly waits: WaitCount;
  readonly prices: PriceList;
}

/** How many calls wait for something to change; a test lets time pass when its own does. */
export class WaitCount {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Waits for `change`, for `durationMs` at most. */
  async atMost(clock: Clock, durationMs: number, change: Promise<unknown>): Promise<void> {
    const over = new AbortController();
    const isOver = clock.sleep(durationMs, over.signal);
    this.#count += 1;
    try {
      await Promise.race([change, isOver]);
    } finally {
      this.#count -= 1;
      over.abort();
    }
  }
}

/** One call of an action. */
export interface ActionRequest {
  /** Of the path and the query. */
  readonly params: ReadonlyMap<string, string>;
  /** The JSON body; undefined when there is none. */
  readonly body: unknown;
  /** How the operation of this call must end, by an injected fault. */
  readonly forced?: Extract<FaultEffect, { readonly kind: "operation" }> & {
    readonly isApplied: boolean;
  };
}

/** Does one action and gives its document. Throws `GceError`. */
export type ActionHandler = (world: World, request: ActionRequest) => object | Promise<object>;

/** Instances that a call can see by now, in launch order. */
export function visibleInstances(world: World): readonly Instance[] {
  const { visibilityMs, flickerMs, flickerFraction } = world.settings();
  const nowMs = world.clock.nowMs();
  return world.fleet.all().filter(({ createdAtMs }) => {
    const ageMs = nowMs - createdAtMs;
    if (ageMs < visibilityMs) return false;
    return ageMs >= flickerMs || world.rng.next() >= flickerFraction;
  });
}
