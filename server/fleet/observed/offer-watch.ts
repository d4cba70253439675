/**
 * Watches what the pool tells of nodes, and keeps the records of their offers.
 *
 * A launch counts when it is answered: once for the offer that gave the machine, and once as
 * refused for each offer that the cloud named as having given none. A rented machine that ends before its agent registered is
 * a failed launch; one that its provider takes away afterwards is a reclaim. Boots count from the
 * accepted rent to the registered agent, and only when this process saw both: after a restart it
 * cannot tell when an agent came.
 *
 * Records are kept in memory and written once a minute: a crash loses a minute of statistics.
 */
import {
  MS_PER_HOUR,
  MS_PER_MINUTE,
  type Clock,
  type Node,
  type Offer,
} from "../../../core/index.ts";
import type { PoolEvent } from "../../../pool/index.ts";
import type { OfferRecords } from "../../store/record-store.ts";
import {
  emptyRecord,
  recordKeyOf,
  withEvidence,
  type OfferRecord,
  type Evidence,
} from "./offer-record.ts";
import { observedOffer } from "./observed-offer.ts";

export interface OfferWatchOptions {
  readonly records: OfferRecords;
  readonly clock: Clock;
}

const WRITE_EVERY_MS = MS_PER_MINUTE;

/** What is known of a node that is not over. */
interface Life {
  /** Since when it is known. */
  readonly sinceMs: number;
  /** Whether its whole life was seen by this process. */
  readonly isSeenFromStart: boolean;
  /** When its rent was accepted; absent before. */
  acceptedAtMs?: number;
  /** Until when its running hours are counted; absent before it has registered. */
  countedToMs?: number;
}

type NodeEvent = Extract<PoolEvent, { readonly node: Node }>;
type RecordOwner = Pick<Node, "offerId" | "emulated">;

export class OfferWatch {
  readonly #options: OfferWatchOptions;
  readonly #records = new Map<string, OfferRecord>();
  readonly #lives = new Map<string, { readonly life: Life; node: Node }>();
  readonly #changed = new Set<string>();
  #writtenAtMs: number;

  constructor(options: OfferWatchOptions) {
    this.#options = options;
    this.#writtenAtMs = options.clock.nowMs();
  }

  /** Reads the records, and takes up the nodes that an earlier process left. */
  async load(nodes: readonly Node[]): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    for (const record of await this.#options.records.list()) this.#records.set(record.key, record);
    for (const node of nodes) {
      const isUnborn = node.state === "requested" || node.state === "booting";
      if (node.offerId === undefined || node.state === "draining") continue;
      const life: Life = {
        sinceMs: nowMs,
        isSeenFromStart: false,
        ...(node.state === "requested" ? {} : { acceptedAtMs: nowMs }),
        ...(isUnborn ? {} : { countedToMs: nowMs }),
      };
      this.#lives.set(node.nodeId, { life, node });
    }
  }

  /** Takes in what the pool tells. */
  readonly note = (event: PoolEvent): void => {
    if (!isStepOfLife(event)) return;
    const { kind, node, atMs } = event;
    switch (kind) {
      case "requested": {
        const life: Life = { sinceMs: atMs, isSeenFromStart: true };
        this.#lives.set(node.nodeId, { life, node });
        return;
      }
      case "refused":
        this.#refused(event);
        this.#lives.delete(node.nodeId);
        return;
      case "booting":
        this.#refused(event);
        this.#accepted(node, atMs);
        return;
      case "registered":
        this.#registered(node, atMs);
        return;
      case "healthy":
      case "cordoned":
        return;
      case "draining":
      case "releasing":
      case "terminated":
        this.#over(node, atMs, event.byProvider === true);
    }
  };

  /** The offers, by what was seen of them. */
  readonly observed = (offers: readonly Offer[]): readonly Offer[] => {
    const nowMs = this.#options.clock.nowMs();
    return offers.map((offer) =>
      observedOffer(offer, this.#records.get(recordKeyOf(offer)), nowMs),
    );
  };

  /** Writes what has changed, once a minute. */
  async tick(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    if (Math.abs(nowMs - this.#writtenAtMs) < WRITE_EVERY_MS) return;
    await this.flush();
  }

  /** Counts running hours up to now and writes all that has changed. */
  async flush(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    this.#writtenAtMs = nowMs;
    for (const { life, node } of this.#lives.values()) this.#countHours(node, life, nowMs);
    const keys = [...this.#changed];
    if (keys.length === 0) return;
    this.#changed.clear();
    try {
      await this.#options.records.put(keys.flatMap((key) => this.#records.get(key) ?? []));
    } catch (error) {
      for (const key of keys) this.#changed.add(key);
      throw error;
    }
  }

  /** Each offer that was asked for a machine for a node and gave none, the first time it is told. */
  #refused(event: NodeEvent): void {
    if (event.kind === "unlisted") return;
    const { kind, node, refusedOfferIds, atMs } = event;
    if (this.#lives.get(node.nodeId)?.life.acceptedAtMs !== undefined) return;
    const { offerId: asked, emulated } = node;
    const alone = kind === "refused" && asked !== undefined ? [asked] : [];
    for (const offerId of refusedOfferIds ?? alone) {
      this.#see({ offerId, emulated }, { kind: "refused" }, atMs);
    }
  }

  #accepted(node: Node, atMs: number): void {
    const entry = this.#lives.get(node.nodeId);
    if (entry === undefined) return;
    // It may have been rented by another offer than the one that was asked for first.
    entry.node = node;
    if (entry.life.acceptedAtMs !== undefined) return;
    entry.life.acceptedAtMs = atMs;
    this.#see(node, { kind: "rented" }, atMs);
  }

  #registered(node: Node, atMs: number): void {
    this.#accepted(node, this.#lives.get(node.nodeId)?.life.sinceMs ?? atMs);
    const life = this.#lives.get(node.nodeId)?.life;
    if (life === undefined || life.countedToMs !== undefined) return;
    life.countedToMs = atMs;
    if (!life.isSeenFromStart) return;
    const bootMs = atMs - (life.acceptedAtMs ?? life.sinceMs);
    this.#see(node, { kind: "booted", bootMs: Math.max(0, bootMs) }, atMs);
  }

  #over(node: Node, atMs: number, byProvider: boolean): void {
    const entry = this.#lives.get(node.nodeId);
    if (entry === undefined) return;
    this.#lives.delete(node.nodeId);
    const { life } = entry;
    if (life.countedToMs === undefined) {
      if (life.acceptedAtMs === undefined) this.#see(node, { kind: "rented" }, atMs);
      this.#see(node, { kind: "failed" }, atMs);
      return;
    }
    this.#countHours(node, life, atMs);
    if (byProvider) this.#see(node, { kind: "reclaimed" }, atMs);
  }

  #countHours(node: Node, life: Life, nowMs: number): void {
    if (life.countedToMs === undefined || nowMs <= life.countedToMs) return;
    const hours = (nowMs - life.countedToMs) / MS_PER_HOUR;
    life.countedToMs = nowMs;
    this.#see(node, { kind: "ran", hours }, nowMs);
  }

  #see({ offerId, emulated }: RecordOwner, evidence: Evidence, atMs: number): void {
    if (offerId === undefined) return;
    const key = recordKeyOf({ offerId, emulated });
    const record = this.#records.get(key) ?? emptyRecord(key, atMs);
    this.#records.set(key, withEvidence(record, evidence, atMs));
    this.#changed.add(key);
  }
}

/** An event that tells how a rented node goes on. */
type StepOfLife = Exclude<
  Extract<PoolEvent, { readonly node: Node }>,
  { readonly kind: "unlisted" }
>;

function isStepOfLife(event: PoolEvent): event is StepOfLife {
  return "node" in event && event.kind !== "unlisted" && event.node.offerId !== undefined;
}
