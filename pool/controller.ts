/**
 * The pool's loop body: observe, decide, apply. It decides nothing itself.
 *
 *     list providers -> read the ledger -> observe (observe.ts) -> reconcile -> apply
 *
 * What makes it safe against a crash at any point: the intent with its token is in the ledger
 * before a provider is asked; a rent whose answer is missing is found by its tags or asked for
 * again with the same token; a node is draining in the ledger before its machine is released,
 * and stays there until its provider no longer has it. Memory (refusals, when a release was
 * sent, absences) only saves calls; losing it is harmless.
 *
 * Only `PlatformError`s of providers are handled here. A ledger that fails ends the tick; the
 * next one starts over.
 */
import {
  assert,
  type Clock,
  type CloudName,
  type IdSource,
  type Node,
  type Offer,
  type PoolPolicy,
} from "../core/index.ts";
import type { Provider, ProviderNode } from "../providers/index.ts";
import type { NodeEvent } from "./node-state.ts";
import { observe, recordAfter, type ChangeAt, type PoolNode } from "./observe.ts";
import type { DesiredLine, PoolEvent, PoolFacts, PoolLedger, PoolRecord } from "./ports.ts";
import { ProviderDesk, type Listing } from "./provider-desk.ts";
import { isRented, reconcile, type NodeAction } from "./reconcile.ts";
import {
  forget,
  openRefusals,
  refusalOf,
  remember,
  type RefusalMemory,
  type RefusedScope,
} from "./refusals.ts";
import { newRecord, offerOfNode, rentRequestOf, resultOf } from "./renting.ts";
import { Sightings, type Machines } from "./sightings.ts";

export interface PoolControllerOptions {
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly ledger: PoolLedger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: PoolPolicy;
  /** Tag value on all our machines; machines with another are never touched. */
  readonly clusterId: string;
  /** What a machine is given at its first boot; best the same each time for one node. */
  readonly userDataFor: (node: Node) => Promise<string> | string;
  /** Must not throw. */
  readonly onEvent: (event: PoolEvent) => void;
  /** Least time between two listings of one provider; 5 s when absent. */
  readonly listEveryMs?: number;
}

/** What a tick saw and did. */
export interface PoolTick {
  /** Open nodes after it, the ones that are not rented included. */
  readonly records: readonly PoolRecord[];
  /** What was decided, in the order applied. */
  readonly actions: readonly NodeAction[];
  /** Clouds that did not answer when they were last asked. */
  readonly unreachableClouds: readonly CloudName[];
  /** Refusals that hold now. */
  readonly refusals: RefusalMemory;
}

const LIST_EVERY_MS = 5_000;

const NO_PROVIDER: Listing = { kind: "failed", reason: "no provider is configured for it" };

/** Rents asked for at once. */
const RENTS_AT_ONCE = 8;

type ActionOf<K extends NodeAction["kind"]> = Extract<NodeAction, { kind: K }>;

/** Keeps the rented nodes equal to the plan, one `tick` at a time. */
export class PoolController {
  readonly #options: PoolControllerOptions;
  readonly #desk: ProviderDesk;
  #refusals: RefusalMemory = [];
  readonly #sightings: Sightings;
  #watchingSinceMs: number;
  #tickedAtMs: number;
  #isTicking = false;

  constructor(options: PoolControllerOptions) {
    this.#options = options;
    const { providers, clock, clusterId, listEveryMs = LIST_EVERY_MS } = options;
    this.#sightings = new Sightings(clusterId);
    this.#desk = new ProviderDesk({ providers, clock, listEveryMs });
    this.#watchingSinceMs = clock.nowMs();
    this.#tickedAtMs = this.#watchingSinceMs;
  }

  /** Refusals that hold now, sorted by key. */
  get refusals(): RefusalMemory {
    return openRefusals(this.#refusals, this.#now());
  }

  /** The offers that nothing was refused for lately, in the order given. */
  openOffers(offers: readonly Offer[]): readonly Offer[] {
    const nowMs = this.#now();
    return offers.filter((offer) => refusalOf(this.#refusals, offer, nowMs) === undefined);
  }

  /**
   * One round. Never two at a time.
   *
   * @param desired Lines of the latest plan; absent while there is none, which rents nothing
   *   and gives back nothing that works.
   * @throws whatever the ledger or `userDataFor` throws; the next tick mends what is half done.
   */
  async tick(desired: readonly DesiredLine[] | undefined, facts: PoolFacts): Promise<PoolTick> {
    assert(!this.#isTicking, "a pool tick began before the last one ended");
    this.#isTicking = true;
    try {
      return await this.#tick(desired, facts);
    } finally {
      this.#isTicking = false;
    }
  }

  async #tick(desired: readonly DesiredLine[] | undefined, facts: PoolFacts): Promise<PoolTick> {
    this.#noteGap();
    const listings = await this.#desk.listAll();
    const records = await this.#options.ledger.listOpen();
    const nodes = await this.#observeAll(records, listings, facts);
    const snapshot = {
      ...facts,
      desired,
      nodes,
      refusals: this.#refusals,
      reclaimedAtMs: this.#sightings.reclaimedAtMs,
      strays: this.#sightings.strays,
      unreachableClouds: this.#sightings.unreachableClouds,
      watchingSinceMs: this.#watchingSinceMs,
      policy: this.#options.policy,
    };
    const actions = reconcile(snapshot, this.#now());
    await this.#apply(actions, facts.offers);
    return {
      records: await this.#options.ledger.listOpen(),
      actions,
      unreachableClouds: [...this.#sightings.unreachableClouds].sort(),
      refusals: this.refusals,
    };
  }

  // ---------------------------------------------------------------- observe

  /** After a pause too long to have heard heartbeats in, silence is counted anew. */
  #noteGap(): void {
    const nowMs = this.#now();
    const gapMs = Math.abs(nowMs - this.#tickedAtMs);
    if (gapMs >= this.#options.policy.heartbeatTimeoutMs) this.#watchingSinceMs = nowMs;
    this.#tickedAtMs = nowMs;
  }

  async #observeAll(
    records: readonly PoolRecord[],
    listings: ReadonlyMap<CloudName, Listing>,
    facts: PoolFacts,
  ): Promise<readonly PoolNode[]> {
    const rented = records.filter(({ node }) => isRented(node));
    this.#sightings.keepOnly(rented);
    const recordsOf = Map.groupBy(rented, ({ node }) => node.cloud);
    const nodes: PoolNode[] = [];
    for (const cloud of new Set([...listings.keys(), ...recordsOf.keys()])) {
      const own = recordsOf.get(cloud) ?? [];
      const machines = this.#readListing(cloud, listings.get(cloud) ?? NO_PROVIDER, own);
      for (const record of own) {
        const node = this.#sightings.nodeOf(record, machines);
        nodes.push(await this.#observeOne(node, machines?.get(record.node.nodeId), facts));
      }
    }
    return nodes.filter(({ record }) => record.node.state !== "terminated");
  }

  #readListing(cloud: CloudName, listing: Listing, records: readonly PoolRecord[]): Machines {
    const wasReachable = !this.#sightings.unreachableClouds.has(cloud);
    if (listing.kind === "failed" && wasReachable) {
      this.#providerFailed(cloud, "listing its machines", listing.reason);
    }
    return this.#sightings.read(cloud, listing, records);
  }

  async #observeOne(
    node: PoolNode,
    machine: ProviderNode | undefined,
    facts: PoolFacts,
  ): Promise<PoolNode> {
    const agent = facts.agents.get(node.record.node.nodeId);
    let { record } = node;
    for (const { event, reason } of observe(node, { machine, agent }, this.#now())) {
      const { node: before } = record;
      if (event.kind === "end" && isUnborn(before)) this.#blame(before, reason);
      record = await this.#move(record, event, reason, { machine, agent });
    }
    return { ...node, record };
  }

  // ---------------------------------------------------------------- apply

  async #apply(actions: readonly NodeAction[], offers: readonly Offer[]): Promise<void> {
    const of = <K extends NodeAction["kind"]>(...kinds: K[]): readonly ActionOf<K>[] =>
      actions.filter((action): action is ActionOf<K> => kinds.some((one) => one === action.kind));
    await this.#giveBack(of("terminate", "release"));
    await this.#releaseStrays(of("release-stray"));
    for (const { nodeId, reason } of of("abandon")) {
      await this.#end(nodeId, { kind: "end" }, reason, true);
    }
    for (const { nodeId, reason } of of("drain")) {
      const record = await this.#options.ledger.get(nodeId);
      if (record !== undefined) await this.#move(record, { kind: "drain" }, reason);
    }
    const turn: RentTurn = {
      offers: new Map(offers.map((offer) => [offer.offerId, offer])),
      failedClouds: new Set(),
    };
    await inChunks(of("resume"), (action) => this.#resume(action, turn));
    await inChunks(of("rent"), (action) => this.#rent(action, turn));
  }

  /** Drains in the ledger first; one call per cloud; open until a listing shows them gone. */
  async #giveBack(actions: readonly ActionOf<"terminate" | "release">[]): Promise<void> {
    const leaving: PoolRecord[] = [];
    for (const action of actions) {
      const { nodeId, reason } = action;
      const record = await this.#options.ledger.get(nodeId);
      if (record === undefined) continue;
      if (action.kind === "terminate" && action.blamesOffer) this.#blame(record.node, reason);
      const moved = await this.#move(record, { kind: "drain" }, reason);
      if (moved.node.providerNodeId !== undefined) leaving.push(moved);
      this.#emit({ kind: "releasing", node: moved.node, reason, atMs: this.#now() });
    }
    for (const [cloud, records] of Map.groupBy(leaving, ({ node }) => node.cloud)) {
      const ids = records.flatMap(({ node }) => node.providerNodeId ?? []);
      const attempt = await this.#desk.release(cloud, ids);
      if (attempt.kind === "failed") {
        this.#providerFailed(cloud, `releasing ${ids.join(", ")}`, attempt.error.message);
        continue;
      }
      for (const { node } of records) {
        this.#sightings.noteReleased(node.nodeId, this.#now());
      }
    }
  }

  async #releaseStrays(actions: readonly ActionOf<"release-stray">[]): Promise<void> {
    for (const [cloud, own] of Map.groupBy(actions, (action) => action.cloud)) {
      const ids = own.map(({ providerNodeId }) => providerNodeId);
      const attempt = await this.#desk.release(cloud, ids);
      if (attempt.kind === "failed") {
        this.#providerFailed(cloud, `releasing ${ids.join(", ")}`, attempt.error.message);
        continue;
      }
      const atMs = this.#now();
      for (const { providerNodeId, reason } of own) {
        this.#emit({ kind: "orphan_released", cloud, providerNodeId, reason, atMs });
      }
    }
  }

  async #rent({ offerId, reason }: ActionOf<"rent">, turn: RentTurn): Promise<void> {
    const offer = turn.offers.get(offerId);
    if (offer === undefined || turn.failedClouds.has(offer.cloud)) return;
    const nowMs = this.#now();
    if (refusalOf(this.#refusals, offer, nowMs) !== undefined) return;
    const nodeId = this.#options.ids.next("no");
    const record = newRecord(offer, { nodeId, reason, nowMs });
    await this.#options.ledger.put(record);
    this.#emit({ kind: "requested", node: record.node, reason, atMs: nowMs });
    await this.#ask(record, { offer, isRepeat: false }, turn);
  }

  async #resume({ nodeId }: ActionOf<"resume">, turn: RentTurn): Promise<void> {
    const record = await this.#options.ledger.get(nodeId);
    if (record === undefined || turn.failedClouds.has(record.node.cloud)) return;
    const offer = turn.offers.get(record.node.offerId ?? "") ?? offerOfNode(record.node);
    await this.#ask(record, { offer, isRepeat: true }, turn);
  }

  async #ask(
    record: PoolRecord,
    rent: { readonly offer: Offer; readonly isRepeat: boolean },
    turn: RentTurn,
  ): Promise<void> {
    const { userDataFor, clusterId } = this.#options;
    const { offer, isRepeat } = rent;
    const { nodeId, cloud } = record.node;
    const userData = await userDataFor(record.node);
    const request = rentRequestOf(record, { offer, userData, clusterId });
    const result = resultOf(await this.#desk.rent(request), offer, isRepeat);
    switch (result.kind) {
      case "rented": {
        this.#refusals = forget(this.#refusals, offer);
        const { providerNodeId } = result;
        const known = (await this.#options.ledger.get(nodeId)) ?? record;
        await this.#move(known, { kind: "accepted", providerNodeId }, `rented ${providerNodeId}`);
        return;
      }
      case "refused":
        this.#remember(result.scope, result.reason);
        await this.#end(nodeId, { kind: "refuse" }, result.reason, false);
        return;
      case "unknown":
        turn.failedClouds.add(cloud);
        this.#providerFailed(cloud, `renting ${nodeId}`, result.reason);
    }
  }

  /** Ends a record that has no machine. */
  async #end(nodeId: string, event: NodeEvent, reason: string, blames: boolean): Promise<void> {
    const record = await this.#options.ledger.get(nodeId);
    if (record === undefined) return;
    if (blames) this.#blame(record.node, reason);
    await this.#move(record, event, reason);
  }

  // ---------------------------------------------------------------- records and memory

  /** Applies an event, writes the record if it changed, and says so. */
  async #move(
    record: PoolRecord,
    event: NodeEvent,
    reason: string,
    seen: Pick<ChangeAt, "agent"> & {
      readonly machine?: ProviderNode | undefined;
    } = {},
  ): Promise<PoolRecord> {
    const nowMs = this.#now();
    const next = recordAfter(record, event, {
      nowMs,
      agent: seen.agent,
      launchedAtMs: seen.machine?.launchedAtMs,
      releasedAtMs: this.#sightings.firstReleasedAtMs(record.node.nodeId),
    });
    if (next === record) return record;
    await this.#options.ledger.put(next);
    const { node } = next;
    if (node.state === record.node.state || node.state === "requested") return next;
    if (node.state === "cordoned") return next;
    const kind = event.kind === "refuse" ? "refused" : node.state;
    this.#emit({ kind, node, reason, atMs: nowMs });
    return next;
  }

  #blame(node: Node, reason: string): void {
    if (node.offerId !== undefined) {
      this.#remember({ kind: "offer", offerId: node.offerId }, reason);
    }
  }

  #remember(scope: RefusedScope, reason: string): void {
    const firstTtlMs = this.#options.policy.refusalTtlMs;
    this.#refusals = remember(this.#refusals, { scope, reason, nowMs: this.#now(), firstTtlMs });
  }

  #providerFailed(cloud: CloudName, attempted: string, reason: string): void {
    this.#emit({ kind: "provider_failed", cloud, attempted, reason, atMs: this.#now() });
  }

  #emit(event: PoolEvent): void {
    this.#options.onEvent(event);
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}

/** What the rents of one tick share. */
interface RentTurn {
  readonly offers: ReadonlyMap<string, Offer>;
  /** Clouds that failed in this tick; they are asked again in the next. */
  readonly failedClouds: Set<CloudName>;
}

/** Whether its agent was never heard of. */
function isUnborn(node: Node): boolean {
  return node.state === "requested" || node.state === "booting";
}

async function inChunks<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += RENTS_AT_ONCE) {
    await Promise.all(items.slice(start, start + RENTS_AT_ONCE).map(run));
  }
}
