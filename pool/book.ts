/**
 * What the controller writes down: changes of records, refusals, and what is told of both.
 *
 * A record is written before its change is told.
 */
import type { Clock, CloudName, Node, Offer } from "../core/index.ts";
import type { ProviderNode } from "../providers/index.ts";
import {
  DEGRADED_MS_MIN,
  degradedClouds,
  isDegraded,
  noteLaunch,
  type LaunchMemory,
} from "./launch-health.ts";
import { isByProvider, type NodeEvent } from "./node-state.ts";
import { recordAfter, type ChangeAt } from "./observe.ts";
import { penalise, penalisedOffer, type PenaltyMemory } from "./penalties.ts";
import type { PoolEvent, PoolLedger, PoolRecord } from "./ports.ts";
import {
  forget,
  forgetLaunches,
  refusalOf,
  remember,
  type Refusal,
  type RefusalMemory,
  type RefusedScope,
} from "./refusals.ts";
import type { Sightings } from "./sightings.ts";

export interface PoolBookOptions {
  readonly ledger: PoolLedger;
  readonly clock: Clock;
  readonly sightings: Sightings;
  /** How long the first refusal of something holds. */
  readonly refusalTtlMs: number;
  readonly onEvent: (event: PoolEvent) => void;
}

/** What a listing and an agent say of a node whose record changes. */
export interface Seen extends Pick<ChangeAt, "agent"> {
  readonly machine?: ProviderNode | undefined;
}

/** A change of one record. */
export interface Move {
  readonly record: PoolRecord;
  readonly event: NodeEvent;
  readonly reason: string;
  readonly seen?: Seen;
  /** Offers that gave no machine for its node, when the event is an answer to its rent. */
  readonly refusedOfferIds?: readonly string[];
}

/** The book of one controller. */
export class PoolBook {
  readonly #options: PoolBookOptions;
  #refusals: RefusalMemory = [];
  #penalties: PenaltyMemory = new Map();
  #launches: LaunchMemory = new Map();

  constructor(options: PoolBookOptions) {
    this.#options = options;
  }

  /** All refusals, open and lapsed. */
  get refusals(): RefusalMemory {
    return this.#refusals;
  }

  /** Clouds whose machines mostly do not become nodes. */
  get degradedClouds(): ReadonlySet<CloudName> {
    return degradedClouds(this.#launches);
  }

  /** An offer as plans are to see it: dearer when it gave bad machines lately. */
  penalised(offer: Offer): Offer {
    return penalisedOffer(this.#penalties, offer, this.#now());
  }

  /** The refusal that speaks against renting `offer` now, if any. */
  refusalOf(offer: Offer): Refusal | undefined {
    return refusalOf(this.#refusals, offer, this.#now());
  }

  /** Applies an event, writes the record if it changed, and says so. */
  async move(
    record: PoolRecord,
    event: NodeEvent,
    reason: string,
    seen: Seen = {},
  ): Promise<PoolRecord> {
    const [next = record] = await this.moveAll([{ record, event, reason, seen }]);
    return next;
  }

  /** Several moves in one write; gives the records after them, in order. */
  async moveAll(moves: readonly Move[]): Promise<readonly PoolRecord[]> {
    const nowMs = this.#now();
    const done = moves.map((move) => {
      const { record, event, seen } = move;
      const next = recordAfter(record, event, {
        nowMs,
        agent: seen?.agent,
        launchedAtMs: seen?.machine?.launchedAtMs,
        releasedAtMs: this.#options.sightings.firstReleasedAtMs(record.node.nodeId),
      });
      return { ...move, next };
    });
    const changed = done.filter(({ record, next }) => next !== record);
    if (changed.length > 0) await this.#options.ledger.put(changed.map(({ next }) => next));
    for (const { record, event, reason, next, refusedOfferIds } of changed) {
      const { node } = next;
      if (node.state === record.node.state || node.state === "requested") continue;
      const kind = event.kind === "refuse" ? "refused" : node.state;
      const cause = {
        ...(isByProvider(event) ? { byProvider: true as const } : {}),
        ...(refusedOfferIds === undefined ? {} : { refusedOfferIds }),
      };
      this.emit({ kind, node, reason, atMs: nowMs, ...cause });
    }
    return done.map(({ next }) => next);
  }

  /** A machine that was rented is bad: its offer costs more in plans for a while. */
  penalise({ offerId }: Node): void {
    if (offerId === undefined) return;
    this.#penalties = penalise(this.#penalties, offerId, this.#now());
  }

  /** A machine became a node, or never did; too many that do not rest their cloud. */
  noteLaunch({ cloud }: Node, succeeded: boolean): void {
    this.#launches = noteLaunch(this.#launches, cloud, succeeded);
    if (succeeded) {
      this.#refusals = forgetLaunches(this.#refusals, cloud);
    } else if (isDegraded(this.#launches, cloud)) {
      const reason = "two of the last four machines did not become nodes";
      this.remember({ kind: "launches", cloud }, reason, DEGRADED_MS_MIN);
    }
  }

  /** Counts a failure of a node against its offer. */
  blame(node: Node, reason: string): void {
    if (node.offerId !== undefined) {
      this.remember({ kind: "offer", offerId: node.offerId }, reason);
    }
  }

  /** Leaves something alone for a while. */
  remember(
    scope: RefusedScope,
    reason: string,
    firstTtlMs: number = this.#options.refusalTtlMs,
  ): void {
    this.#refusals = remember(this.#refusals, { scope, reason, nowMs: this.#now(), firstTtlMs });
  }

  /** Tells that a provider did not answer. */
  providerFailed(cloud: CloudName, attempted: string, reason: string): void {
    this.emit({ kind: "provider_failed", cloud, attempted, reason, atMs: this.#now() });
  }

  /** Tells the listener. */
  emit(event: PoolEvent): void {
    this.#options.onEvent(event);
  }

  /** The offer was rented: it, its quotas and its cloud evidently serve. */
  forget(offer: Offer): void {
    this.#refusals = forget(this.#refusals, offer);
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}
