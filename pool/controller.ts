/**
 * The pool's loop body: observe, decide, apply. It decides nothing itself.
 *
 *     list providers -> read the ledger -> observe (observe.ts) -> reconcile -> apply
 *
 * What makes it safe against a crash at any point: the intent with its token is in the ledger
 * before a provider is asked; a rent whose answer is missing is found by its tags or asked for
 * again with the same token; a node is draining in the ledger before its machine is released,
 * and stays there until its provider no longer has it. What is remembered of offers, launches and
 * moves is in the ledger too (memory.ts); all other memory (when a release was sent, absences)
 * only saves calls, and losing it is harmless.
 *
 * Only `PlatformError`s of providers are handled here. A ledger that fails ends the tick; the
 * next one starts over.
 */
import { assert, type CloudName, type Node, type Offer } from "../core/index.ts";
import { PoolBook, type Seen } from "./book.ts";
import type { PoolControllerOptions, SettledFacts, WaitingOrder } from "./controller-parts.ts";
import type { PoolControllerState } from "./controller-state.ts";
import { inChunks } from "./in-chunks.ts";
import type { NodeEvent } from "./node-state.ts";
import {
  consolidate,
  mayConsolidate,
  NO_CONSOLIDATION,
  type Consolidation,
} from "./consolidate.ts";
import { holdPlan, NO_PLAN_HELD } from "./held-plan.ts";
import {
  CLUSTER_TAG,
  isHeard,
  isUnlisted,
  observe,
  type Observation,
  type PoolNode,
} from "./observe.ts";
import { ruleOn, type Order, type OrderOutcome, type Ruling } from "./orders.ts";
import type { AgentSighting, DesiredLine, PoolFacts, PoolRecord } from "./ports.ts";
import { ProviderDesk, type Listing } from "./provider-desk.ts";
import type { ActionOf, NodeAction } from "./actions.ts";
import { lookAndReconcile } from "./reconcile.ts";
import { isRented, isUnborn } from "./snapshot.ts";
import { openRefusals, type RefusalMemory } from "./refusals.ts";
import type { PoolTick } from "./pool-tick.ts";
import { Renter, type RentTurn } from "./renter.ts";
import { Sightings, type Machines } from "./sightings.ts";
import { Surveyor } from "./surveyor.ts";
import { newlyUnseen, placeNameOf, unseenPlaceOf } from "./unseen.ts";

const LIST_EVERY_MS = 5_000;

const NO_PROVIDER: Listing = { kind: "failed", reason: "no provider is configured for it" };

/** Keeps the rented nodes equal to the plan, one `tick` at a time. */
export class PoolController {
  readonly #options: PoolControllerOptions;
  readonly #desk: ProviderDesk;
  readonly #sightings: Sightings;
  readonly #book: PoolBook;
  readonly #renter: Renter;
  readonly #surveyor: Surveyor;
  #watchingSinceMs: number;
  #tickedAtMs: number;
  #isTicking = false;
  #heldPlan = NO_PLAN_HELD;
  #worthSinceMs = NO_CONSOLIDATION.worthSinceMs;
  readonly #orders: WaitingOrder[] = [];

  constructor(options: PoolControllerOptions) {
    this.#options = options;
    const { providers, clock, clusterId, listEveryMs = LIST_EVERY_MS } = options;
    this.#sightings = new Sightings(clusterId);
    const { refusalTtlMs, launchesPerSecondMax, launchBurstMax } = options.policy;
    this.#desk = new ProviderDesk({ providers, clock, listEveryMs });
    this.#book = new PoolBook({ ...options, refusalTtlMs, sightings: this.#sightings });
    this.#renter = new Renter({
      ...options,
      book: this.#book,
      desk: this.#desk,
      rate: { perSecondMax: launchesPerSecondMax, burstMax: launchBurstMax },
    });
    this.#surveyor = new Surveyor({ ...options, book: this.#book, desk: this.#desk });
    this.#watchingSinceMs = clock.nowMs();
    this.#tickedAtMs = this.#watchingSinceMs;
  }

  /** Everything it remembers, by reference; never during a tick, and no order may wait. */
  save(): PoolControllerState {
    assert(!this.#isTicking && this.#orders.length === 0, "a pool at work cannot be written down");
    return {
      sightings: this.#sightings.state,
      book: this.#book.save(),
      launches: this.#renter.launches,
      watchingSinceMs: this.#watchingSinceMs,
      tickedAtMs: this.#tickedAtMs,
      heldPlan: this.#heldPlan,
      worthSinceMs: this.#worthSinceMs,
    };
  }

  /** Goes on as another controller would have, whose ledger and clock this one has. */
  resume(state: PoolControllerState): void {
    this.#sightings.state = state.sightings;
    this.#book.resume(state.book);
    this.#renter.launches = state.launches;
    this.#watchingSinceMs = state.watchingSinceMs;
    this.#tickedAtMs = state.tickedAtMs;
    this.#heldPlan = state.heldPlan;
    this.#worthSinceMs = state.worthSinceMs;
  }

  /** Refusals that hold now, sorted by key. */
  get refusals(): RefusalMemory {
    return openRefusals(this.#book.refusals, this.#now());
  }

  /**
   * The offers that nothing was refused for lately and whose cloud, region and zone have not been
   * out of reach for as long as a refusal holds, in the order given; dearer than they are where
   * they gave bad machines.
   */
  openOffers(offers: readonly Offer[]): readonly Offer[] {
    const nowMs = this.#now();
    const outMsMax = this.#options.policy.refusalTtlMs;
    const { unreachableClouds, unseen } = this.#sightings;
    const open = offers.filter((offer) => {
      const outSinceMs =
        unreachableClouds.get(offer.cloud) ?? unseenPlaceOf(unseen, offer)?.sinceMs ?? nowMs;
      if (nowMs - outSinceMs >= outMsMax) return false;
      return this.#book.refusalOf(offer) === undefined;
    });
    return open.map((offer) => this.#book.penalised(offer));
  }

  /**
   * Takes over what the pool remembers; to be called by a process that begins to keep it, before
   * its first tick.
   *
   * @throws whatever the ledger throws.
   */
  recall(): Promise<void> {
    return this.#book.recall();
  }

  /**
   * Has an order carried out at the beginning of the next tick.
   *
   * @throws whatever the ledger throws then.
   */
  order(order: Order): Promise<OrderOutcome> {
    return new Promise((resolve, reject) => {
      this.#orders.push({ order, resolve, reject });
    });
  }

  /** Resolves when nothing that a tick has begun runs on. */
  settled(): Promise<void> {
    return this.#surveyor.settled();
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

  async #tick(desired: readonly DesiredLine[] | undefined, given: PoolFacts): Promise<PoolTick> {
    this.#noteGap();
    await this.#obey();
    const listings = await this.#desk.listAll();
    const records = await this.#options.ledger.listOpen();
    const { agents } = given;
    const facts = { ...given, agents: typeof agents === "function" ? agents() : agents };
    const nodes = await this.#observeAll(records, listings, facts);
    const { budgetMicroUsdPerHourMax } = this.#options;
    const consolidation = this.#consolidate(desired, nodes, facts);
    const hold = { nowMs: this.#now(), holdMs: this.#options.policy.idleReleaseMs };
    if (desired !== undefined) this.#heldPlan = holdPlan(this.#heldPlan, desired, hold);
    const snapshot = {
      ...facts,
      desired,
      heldPlan: this.#heldPlan,
      nodes,
      refusals: this.#book.refusals,
      reclaimedAtMs: this.#sightings.reclaimedAtMs,
      strays: this.#sightings.strays,
      unreachableClouds: new Set(this.#sightings.unreachableClouds.keys()),
      unseen: this.#sightings.unseen,
      watchingSinceMs: this.#watchingSinceMs,
      consolidation,
      degradedClouds: this.#book.degradedClouds,
      ...(budgetMicroUsdPerHourMax === undefined ? {} : { budgetMicroUsdPerHourMax }),
      policy: this.#options.policy,
    };
    const { actions, fitness, releaseByMs } = lookAndReconcile(snapshot, this.#now());
    await this.#apply(actions, facts.offers);
    await this.#surveyor.look();
    await this.#book.keep();
    return {
      records: await this.#options.ledger.listOpen(),
      actions,
      unreachableClouds: [...this.#sightings.unreachableClouds.keys()].sort(),
      unseen: this.#sightings.unseen,
      refusals: this.refusals,
      fitness,
      releaseByMs,
      strays: snapshot.strays,
      unclaimed: this.#surveyor.reports,
    };
  }

  /** Carries out what operators ordered since the last tick, in order. */
  async #obey(): Promise<void> {
    const { ledger } = this.#options;
    for (const { order, resolve, reject } of this.#orders.splice(0)) {
      try {
        const ruling = ruleOn(order, await ledger.get(order.nodeId), this.#now());
        resolve(await this.#carryOut(ruling, order.reason));
      } catch (error) {
        reject(error);
        throw error;
      }
    }
  }

  async #carryOut(ruling: Ruling, reason: string): Promise<OrderOutcome> {
    switch (ruling.kind) {
      case "move": {
        const { node } = await this.#book.move(ruling.record, ruling.event, reason);
        return { kind: "done", node };
      }
      case "rewrite":
        await this.#options.ledger.put([ruling.record]);
        return { kind: "done", node: ruling.record.node };
      case "unchanged":
      case "not_found":
      case "refused":
        return ruling;
    }
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
    facts: SettledFacts,
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
        const { nodeId } = record.node;
        const seen = { machine: machines?.machineOf(record.node), agent: facts.agents.get(nodeId) };
        if (node.listed !== "unknown") this.#noteUnlisted(node, seen.agent);
        const observations = observe(node, seen, this.#now());
        // Nothing has happened to most nodes, and they are not waited for.
        const after = observations.length === 0 ? node : await this.#take(node, observations, seen);
        if (after.record.node.state !== "terminated") nodes.push(after);
      }
    }
    return nodes;
  }

  #readListing(cloud: CloudName, listing: Listing, records: readonly PoolRecord[]): Machines {
    const wasReachable = !this.#sightings.unreachableClouds.has(cloud);
    if (listing.kind === "failed" && wasReachable) {
      this.#book.providerFailed(cloud, "listing its machines", listing.reason);
    }
    const before = this.#sightings.unseenOf(cloud);
    const machines = this.#sightings.read(cloud, listing, records, this.#now());
    for (const place of newlyUnseen(before, this.#sightings.unseenOf(cloud))) {
      const attempted = `listing its machines in ${placeNameOf(place)}`;
      this.#book.providerFailed(cloud, attempted, place.reason);
    }
    return machines;
  }

  /** Writes down what has happened to a node. */
  async #take(node: PoolNode, observations: readonly Observation[], seen: Seen): Promise<PoolNode> {
    let { record } = node;
    for (const { event, reason } of observations) {
      const { node: before } = record;
      if (event.kind === "end" && isUnborn(before)) this.#failLaunch(before, reason);
      record = await this.#book.move(record, event, reason, seen);
      if (event.kind === "register") this.#book.noteLaunch(before, true);
    }
    return { ...node, record };
  }

  /** Tells once of a node that talks while its provider does not list its machine. */
  #noteUnlisted(node: PoolNode, agent: AgentSighting | undefined): void {
    const { nodeId, providerNodeId = "" } = node.record.node;
    const isUnseen = isUnlisted(node, agent, this.#now());
    if (!this.#sightings.noteUnlisted(nodeId, isUnseen)) return;
    const reason =
      `its agent talks, and its provider does not list ${providerNodeId} as ours: give it back ` +
      `its tag ${CLUSTER_TAG}=${this.#options.clusterId}, or delete it by hand once it is released`;
    this.#book.emit({ kind: "unlisted", node: node.record.node, reason, atMs: this.#now() });
  }

  /** A machine was to become a node and never did. */
  #failLaunch(node: Node, reason: string): void {
    this.#book.blame(node, reason);
    this.#book.noteLaunch(node, false);
  }

  /** What of the nodes in use is given up for others, with what was seen at the last looks. */
  #consolidate(
    desired: readonly DesiredLine[] | undefined,
    nodes: readonly PoolNode[],
    facts: SettledFacts,
  ): Consolidation {
    const present = nodes.map(({ record }) => record.node);
    const { receivedAtMs } = this.#book;
    if (receivedAtMs.size === 0 && !mayConsolidate(desired, present, facts.containers)) {
      this.#worthSinceMs = NO_CONSOLIDATION.worthSinceMs;
      return { moves: [], heldCountOf: new Map(), memory: NO_CONSOLIDATION };
    }
    const nowMs = this.#now();
    const { consolidation: policy, heartbeatTimeoutMs } = this.#options.policy;
    const view = {
      desired,
      offers: facts.offers,
      containers: facts.containers,
      waiting: facts.waiting ?? [],
      nodes: nodes.map(({ record: { node, launchedAtMs, requestedAtMs } }) => {
        const agent = facts.agents.get(node.nodeId);
        const isReclaimed =
          agent?.reclaimAtMs !== undefined ||
          agent?.riskSinceMs !== undefined ||
          this.#sightings.reclaimedAtMs.has(node.nodeId);
        return {
          node,
          launchedAtMs: launchedAtMs ?? requestedAtMs,
          isSound: isHeard(agent, nowMs, heartbeatTimeoutMs) && !isReclaimed,
        };
      }),
      policy,
      memory: { worthSinceMs: this.#worthSinceMs, receivedAtMs },
    };
    const answer = consolidate(view, nowMs);
    this.#worthSinceMs = answer.memory.worthSinceMs;
    this.#book.receivedAtMs = answer.memory.receivedAtMs;
    return answer;
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
    const reclaimed: (() => void)[] = [];
    for (const { nodeId, reason } of of("cordon")) {
      const record = await this.#options.ledger.get(nodeId);
      if (record === undefined) continue;
      await this.#book.blameAhead(record.node, reason);
      await this.#book.move(record, { kind: "cordon" }, reason);
      reclaimed.push(() => this.#book.blame(record.node, reason));
    }
    for (const { nodeId, reason, cause } of of("drain")) {
      const record = await this.#options.ledger.get(nodeId);
      if (record === undefined) continue;
      if (cause === "fault") this.#book.penalise(record.node);
      if (cause === "reclaim") await this.#book.blameAhead(record.node, reason);
      const by = cause === "reclaim" ? { byProvider: true as const } : {};
      await this.#book.move(record, { kind: "drain", ...by }, reason);
      if (cause === "reclaim") reclaimed.push(() => this.#book.blame(record.node, reason));
    }
    const turn: RentTurn = {
      offers: new Map(offers.map((offer) => [offer.offerId, offer])),
      failedRegions: new Set(),
    };
    await inChunks(of("resume"), (action) => this.#renter.resume(action, turn));
    await inChunks(of("rent"), (action) => this.#renter.rent(action, turn));
    // After the rents: where there is nothing else, the same offer must serve once more.
    for (const blame of reclaimed) blame();
  }

  /** Drains in the ledger first; one call for each region, that may fail alone; open until a listing shows them gone. */
  async #giveBack(actions: readonly ActionOf<"terminate" | "release">[]): Promise<void> {
    const leaving: PoolRecord[] = [];
    for (const action of actions) {
      const { nodeId, reason } = action;
      const record = await this.#options.ledger.get(nodeId);
      if (record === undefined) continue;
      if (action.kind === "terminate" && action.blamesOffer) {
        this.#failLaunch(record.node, reason);
        this.#book.penalise(record.node);
      }
      const moved = await this.#book.move(record, { kind: "drain" }, reason);
      if (moved.node.providerNodeId !== undefined) leaving.push(moved);
      this.#book.emit({ kind: "releasing", node: moved.node, reason, atMs: this.#now() });
    }
    for (const [cloud, ofCloud] of Map.groupBy(leaving, ({ node }) => node.cloud)) {
      const regions = Map.groupBy(ofCloud, ({ node }) => node.region).values();
      await Promise.all([...regions].map((records) => this.#release(cloud, records)));
    }
  }

  async #release(cloud: CloudName, records: readonly PoolRecord[]): Promise<void> {
    const ids = records.flatMap(({ node }) => node.providerNodeId ?? []);
    const attempt = await this.#desk.release(cloud, ids);
    if (attempt.kind === "failed") {
      this.#book.providerFailed(cloud, `releasing ${ids.join(", ")}`, attempt.error.message);
      return;
    }
    for (const { node } of records) this.#sightings.noteReleased(node.nodeId, this.#now());
  }

  async #releaseStrays(actions: readonly ActionOf<"release-stray">[]): Promise<void> {
    for (const [cloud, own] of Map.groupBy(actions, (action) => action.cloud)) {
      const ids = own.map(({ providerNodeId }) => providerNodeId);
      const attempt = await this.#desk.release(cloud, ids);
      if (attempt.kind === "failed") {
        this.#book.providerFailed(cloud, `releasing ${ids.join(", ")}`, attempt.error.message);
        continue;
      }
      const atMs = this.#now();
      for (const { providerNodeId, reason } of own) {
        this.#sightings.noteStrayReleased({ cloud, providerNodeId }, atMs);
        this.#book.emit({ kind: "orphan_released", cloud, providerNodeId, reason, atMs });
      }
    }
  }

  /** Ends a record that has no machine. */
  async #end(nodeId: string, event: NodeEvent, reason: string, blames: boolean): Promise<void> {
    const record = await this.#options.ledger.get(nodeId);
    if (record === undefined) return;
    if (blames) this.#failLaunch(record.node, reason);
    await this.#book.move(record, event, reason);
  }

  #now(): number {
    return this.#options.clock.nowMs();
  }
}
