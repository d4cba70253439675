/**
 * What the controller writes down: changes of records, refusals, and what is told of both.
 *
 * A record is written before its change is told. What is remembered is written before the record
 * whose change it goes with, so that a crash between the two makes the pool too careful and never
 * too bold: it may count a bad machine twice, let an offer rest that it would ask once more, or
 * leave a node alone that took in nothing. Only a launch that succeeded is counted after its
 * record: lost, it leaves a cloud under suspicion until the next one.
 */
import type { Clock, CloudName, Node, Offer } from "../core/index.ts";
import type { ProviderNode } from "../providers/index.ts";
import { DEGRADED_MS_MIN, degradedClouds, isDegraded, noteLaunch } from "./launch-health.ts";
import { isByProvider, type NodeEvent } from "./node-state.ts";
import { recordAfter, type ChangeAt } from "./observe.ts";
import {
  changesBetween,
  entriesOf,
  memoryOf,
  NO_MEMORY,
  type MemoryEntry,
  type PoolMemory,
} from "./memory.ts";
import { penalise, penalisedOffer } from "./penalties.ts";
import type { PoolEvent, PoolLedger, PoolRecord } from "./ports.ts";
import {
  forget,
  forgetLaunches,
  refusalKey,
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

/** What a book remembers and has written. Plain data. */
export interface PoolBookState {
  readonly memory: PoolMemory;
  readonly kept: PoolMemory | undefined;
  readonly keptEntries: readonly MemoryEntry[];
}

/** The book of one controller. */
export class PoolBook {
  readonly #options: PoolBookOptions;
  #memory: PoolMemory = NO_MEMORY;
  /** The memory that was last written; absent when the ledger may hold more than is remembered. */
  #kept: PoolMemory | undefined = NO_MEMORY;
  #keptEntries: readonly MemoryEntry[] = [];
  #keeping: Promise<unknown> = Promise.resolve();

  constructor(options: PoolBookOptions) {
    this.#options = options;
  }

  /** All refusals, open and lapsed. */
  get refusals(): RefusalMemory {
    return this.#memory.refusals;
  }

  /** When each node was last counted on to take in what another one held. */
  get receivedAtMs(): ReadonlyMap<string, number> {
    return this.#memory.receivedAtMs;
  }

  set receivedAtMs(receivedAtMs: ReadonlyMap<string, number>) {
    this.#memory = { ...this.#memory, receivedAtMs };
  }

  /** What it remembers and has written; nothing may be being written. */
  save(): PoolBookState {
    return { memory: this.#memory, kept: this.#kept, keptEntries: this.#keptEntries };
  }

  /** Takes the place of what it remembers. */
  resume({ memory, kept, keptEntries }: PoolBookState): void {
    this.#memory = memory;
    this.#kept = kept;
    this.#keptEntries = keptEntries;
  }

  /** Takes over what was remembered by whoever kept the pool before. */
  async recall(): Promise<void> {
    const entries = await this.#options.ledger.recall();
    this.#memory = memoryOf(entries, this.#now());
    this.#keptEntries = entries;
    this.#kept = undefined;
  }

  /** Writes what has changed of the memory; one write at a time, in the order asked for. */
  keep(): Promise<void> {
    const turn = this.#keeping.then(() => this.#keepNow());
    // Whoever asked for a write hears of its failure; the next one is tried all the same.
    this.#keeping = turn.catch(() => undefined);
    return turn;
  }

  async #keepNow(): Promise<void> {
    const memory = this.#memory;
    const kept = this.#kept;
    const isUnchanged =
      kept?.refusals === memory.refusals &&
      kept.penalties === memory.penalties &&
      kept.launches === memory.launches &&
      kept.receivedAtMs === memory.receivedAtMs;
    if (isUnchanged) return;
    const entries = entriesOf(memory, this.#now());
    const changes = changesBetween(this.#keptEntries, entries);
    if (changes.put.length + changes.removed.length > 0) await this.#options.ledger.note(changes);
    this.#kept = memory;
    this.#keptEntries = entries;
  }

  /** Clouds whose machines mostly do not become nodes. */
  get degradedClouds(): ReadonlySet<CloudName> {
    return degradedClouds(this.#memory.launches);
  }

  /** An offer as plans are to see it: dearer when it gave bad machines lately. */
  penalised(offer: Offer): Offer {
    return penalisedOffer(this.#memory.penalties, offer, this.#now());
  }

  /** The refusal that speaks against renting `offer` now, if any. */
  refusalOf(offer: Offer): Refusal | undefined {
    return refusalOf(this.#memory.refusals, offer, this.#now());
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
    if (changed.length > 0) {
      await this.keep();
      await this.#options.ledger.put(changed.map(({ next }) => next));
    }
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
    const penalties = penalise(this.#memory.penalties, offerId, this.#now());
    this.#memory = { ...this.#memory, penalties };
  }

  /** A machine became a node, or never did; too many that do not rest their cloud. */
  noteLaunch({ cloud }: Node, succeeded: boolean): void {
    const launches = noteLaunch(this.#memory.launches, cloud, succeeded);
    this.#memory = { ...this.#memory, launches };
    if (succeeded) {
      this.#setRefusals(forgetLaunches(this.refusals, cloud));
    } else if (isDegraded(launches, cloud)) {
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

  /**
   * Writes that a failure of a node will be counted against its offer, which still serves until
   * `blame` is called; a process that dies in between is followed by one that lets it rest.
   */
  async blameAhead({ offerId }: Node, reason: string): Promise<void> {
    if (offerId === undefined) return;
    const scope = { kind: "offer", offerId } as const;
    const key = refusalKey(scope);
    const foreseen = this.#with(scope, reason, this.#options.refusalTtlMs);
    const refusals = foreseen.filter((one) => one.key === key);
    const put = entriesOf({ ...NO_MEMORY, refusals }, this.#now());
    await this.#options.ledger.note({ put, removed: [] });
  }

  /** Leaves something alone for a while. */
  remember(
    scope: RefusedScope,
    reason: string,
    firstTtlMs: number = this.#options.refusalTtlMs,
  ): void {
    this.#setRefusals(this.#with(scope, reason, firstTtlMs));
  }

  #with(scope: RefusedScope, reason: string, firstTtlMs: number): RefusalMemory {
    return remember(this.refusals, { scope, reason, nowMs: this.#now(), firstTtlMs });
  }

  #setRefusals(refusals: RefusalMemory): void {
    if (refusals !== this.refusals) this.#memory = { ...this.#memory, refusals };
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
    this.#setRefusals(forget(this.refusals, offer));
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}
