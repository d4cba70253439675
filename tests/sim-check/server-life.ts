/**
 * One life of the control plane: the production parts, put together as `server/fleet/fleet.ts`
 * and `server/platform.ts` do, over ports that die with it.
 *
 * What is not here is what has no place in virtual time: HTTP, sockets, worker threads, Redis.
 * The rounds are those of the fleet (place, provision, maintain), never twice at a time, and the
 * world says when their time has come.
 */
import {
  createRng,
  type Clock,
  type CloudName,
  type IdSource,
  type Policy,
} from "../../core/index.ts";
import { ContainerStreams } from "../../server/gateway/container-streams.ts";
import { planFleet, type FleetPlan, type PlanInput } from "../../optimizer/index.ts";
import type { DesiredLine } from "../../pool/index.ts";
import type { PoolFacts } from "../../pool/ports.ts";
import type { Provider } from "../../providers/index.ts";
import type { AgentLine, NodeLink } from "../../server/agents/hub.ts";
import { CallDesk } from "../../server/calls/call-desk.ts";
import type { FunctionDispatcher } from "../../server/calls/function-dispatcher.ts";
import type { RangeQueue } from "../../server/calls/function-queue.ts";
import { rebuildQueues } from "../../server/calls/rebuild.ts";
import { Upkeep } from "../../server/assembly/upkeep.ts";
import type { Settlement } from "../../server/calls/settlement.ts";
import { Capacity } from "../../server/fleet/capacity.ts";
import { ContainerTable } from "../../server/fleet/container-table.ts";
import { Market } from "../../server/fleet/market.ts";
import { NodeDesk } from "../../server/fleet/node-desk.ts";
import { NodeTable } from "../../server/fleet/node-table.ts";
import { OfferWatch } from "../../server/fleet/observed/offer-watch.ts";
import { Placing } from "../../server/fleet/placing.ts";
import { PoolKeeper } from "../../server/fleet/pool-keeper.ts";
import type { EventBus } from "../../server/services.ts";
import type { Fence, RecordStore } from "../../server/store/record-store.ts";
import type { FaultSource, Lifetime } from "./lifetime.ts";
import type { LinkModel } from "./link-model.ts";

export const CLUSTER = "sim";
export const WORKSPACE = "ws_sim";
export const JOIN_KEY = new Uint8Array(32).fill(7);

/** Solvers by name. */
export type Solvers = Parameters<typeof planFleet>[1];

/** Wrong versions of what the server is made of, put in between its parts. */
export interface Seams {
  readonly store?: (store: RecordStore) => RecordStore;
  readonly queue?: (queue: RangeQueue) => RangeQueue;
  readonly provider?: (provider: Provider) => Provider;
  readonly facts?: (facts: PoolFacts) => PoolFacts;
  readonly nodes?: (nodes: NodeTable) => NodeTable;
  readonly plan?: (plan: typeof planFleet) => typeof planFleet;
  /** Told of every dispatcher once. */
  readonly dispatcher?: (dispatcher: FunctionDispatcher) => void;
}

export interface ServerLifeOptions {
  readonly life: Lifetime;
  readonly store: RecordStore;
  readonly storeFaultOf: FaultSource;
  readonly openQueue: (functionId: string) => RangeQueue;
  readonly provider: Provider;
  readonly providerFaultOf: FaultSource;
  /** What the optimizer's solvers do: answers, failures, nonsense. */
  readonly solvers: () => Solvers;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: Policy;
  readonly seed: string;
  /** Fencing token of this life; each has a higher one. */
  readonly token: number;
  readonly seams: Seams;
  readonly onPlan: (input: PlanInput, plan: FleetPlan) => void;
  /** A container is about to be started there. */
  readonly onStart: (life: ServerLife, nodeId: string) => void;
  readonly onRecorded: (settlement: Settlement) => void;
  /** Something should be placed soon. */
  readonly onKick: () => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const RENEW_MS = 4_000;
const NO_EVENTS: EventBus = {
  publish: () => undefined,
  written: () => Promise.resolve(),
  read: () => {
    throw new Error("nobody reads events here");
  },
};
const STORE_PORTS = ["registry", "tokens", "ledger", "calls", "arrivals", "nodes"] as const;
const MORE_STORE_PORTS = ["plans", "poolEvents", "fences", "offers"] as const;

type RoundName = "place" | "provision" | "maintain";

export class ServerLife {
  readonly calls: CallDesk;
  readonly containers = new ContainerTable();
  readonly nodes: NodeTable;
  readonly nodeDesk: NodeDesk;
  readonly links = new Map<string, LinkModel>();
  readonly #options: ServerLifeOptions;
  readonly #store: RecordStore;
  readonly #placing: Placing;
  readonly #capacity: Capacity;
  readonly #market: Market;
  readonly #watch: OfferWatch;
  readonly #pool: PoolKeeper;
  readonly #upkeep: Upkeep;
  readonly #running = new Set<RoundName>();
  readonly #spoilt = new WeakSet<FunctionDispatcher>();
  #isOpen = false;
  #renewedAtMs = 0;

  constructor(options: ServerLifeOptions) {
    this.#options = options;
    const { life, clock, ids, policy, seams, onError } = options;
    this.#store = this.#openStore();
    const store = this.#store;
    const shared = { store, events: NO_EVENTS, clock, ids, onError };
    this.nodes = new NodeTable(store.nodes);
    const provider = life.port(
      "provider",
      seams.provider?.(options.provider) ?? options.provider,
      options.providerFaultOf,
    );
    const providers = new Map<CloudName, Provider>([[provider.cloud, provider]]);
    this.#watch = new OfferWatch({ records: store.offers, clock });
    this.#market = new Market({ providers, clock, observed: this.#watch.observed, onError });
    this.calls = this.#openCalls();
    this.#upkeep = new Upkeep({ store, calls: this.calls, apps: NO_APPS });
    this.#placing = new Placing({
      ...shared,
      functions: this.calls.functions,
      containers: this.containers,
      nodes: seams.nodes?.(this.nodes) ?? this.nodes,
      hub: { link: (nodeId) => this.#placingLink(nodeId) },
      rng: createRng(`${options.seed} placing`),
      policy: policy.scheduler,
      desired: () => this.#capacity.desired,
      loadHeld: (inputIds) => this.calls.loadHeld(inputIds),
      onYielded: (...yielded) => this.calls.yielded(...yielded),
      streams: new ContainerStreams(),
      onColdStart: () => undefined,
      onLoadChanged: options.onKick,
    });
    this.nodeDesk = new NodeDesk({
      ...shared,
      nodes: this.nodes,
      containers: this.#placing.desk,
      onArrived: options.onKick,
      onInterrupted: options.onKick,
      key: JOIN_KEY,
      joinLifetimeMs: policy.pool.registrationTimeoutMs,
      workspaceId: WORKSPACE,
    });
    this.#pool = this.#openPool(providers);
    this.#capacity = new Capacity({
      ...shared,
      containers: this.containers,
      nodes: this.nodes,
      planner: { plan: (input) => this.#plan(input) },
      providers,
      offers: async () => this.#pool.openOffers(await this.#market.offers()),
      plans: store.plans,
      policy,
    });
  }

  get isOpen(): boolean {
    return this.#isOpen && !this.#options.life.isDead;
  }

  /** What its clock says. */
  get nowMs(): number {
    return this.#options.clock.nowMs();
  }

  get desired(): readonly DesiredLine[] | undefined {
    return this.#capacity.desired;
  }

  /** Takes up what an earlier life left. */
  async open(): Promise<void> {
    await this.nodes.load(this.#options.clock.nowMs());
    await this.#watch.load(this.nodes.all().map(({ stored }) => stored.node));
    this.#isOpen = true;
    await rebuildQueues(this.#store, this.calls.functions, () => true);
  }

  /** Runs a round unless it is still running; it is not waited for. */
  run(name: RoundName): void {
    if (!this.isOpen || this.#running.has(name)) return;
    this.#running.add(name);
    this.#step(name)
      .catch((error: unknown) => this.#options.onError(error, `the round "${name}"`))
      .finally(() => this.#running.delete(name));
  }

  /** An operator has a node drained. */
  async drain(nodeId: string): Promise<void> {
    await this.#pool.order({ kind: "drain", nodeId, reason: "an operator said so" });
  }

  /** An agent's link is there. */
  connected(link: LinkModel): void {
    this.links.get(link.nodeId)?.cut({ server: true, agent: true });
    this.links.set(link.nodeId, link);
  }

  departed(link: LinkModel): void {
    if (this.#options.life.isDead) return;
    if (this.links.get(link.nodeId) === link) this.links.delete(link.nodeId);
    this.nodeDesk.departed(link);
  }

  /** Cuts the links that are silent and asks the others for a sign of life, as the hub does. */
  beat(): void {
    if (!this.isOpen) return;
    const { clock, policy } = this.#options;
    const silentBeforeMs = clock.nowMs() - policy.pool.heartbeatTimeoutMs;
    for (const link of [...this.links.values()]) {
      if (link.lastSeenMs < silentBeforeMs) link.cut({ server: true, agent: false });
      else link.ping();
    }
  }

  /** Inputs that its dispatchers hold. */
  get heldCount(): number {
    return this.calls.functions.all().reduce((sum, live) => sum + live.dispatcher.heldCount, 0);
  }

  #step(name: RoundName): Promise<void> {
    if (name === "place") return this.#place();
    return name === "provision" ? this.#provision() : this.#maintain();
  }

  async #place(): Promise<void> {
    this.#spoilDispatchers();
    if (await this.#placing.tick()) this.run("provision");
  }

  #spoilDispatchers(): void {
    const { dispatcher: spoil } = this.#options.seams;
    if (spoil === undefined) return;
    for (const { dispatcher } of this.calls.functions.all()) {
      if (this.#spoilt.has(dispatcher)) continue;
      this.#spoilt.add(dispatcher);
      spoil(dispatcher);
    }
  }

  async #provision(): Promise<void> {
    if (!(await this.#pool.leads())) return;
    const { nodes, containers } = this;
    const placed = containers.placed();
    const { clock, seams } = this.#options;
    nodes.noteOccupied(new Set(placed.map(({ nodeId }) => nodeId)), clock.nowMs());
    await this.#capacity.tick();
    const facts: PoolFacts = {
      offers: await this.#market.offers(),
      containers: placed,
      waiting: containers.waiting(),
      agents: () => nodes.sightings(),
      emptySinceMs: nodes.emptySince(),
    };
    await this.#pool.tick(this.#capacity.desired, seams.facts?.(facts) ?? facts);
  }

  async #maintain(): Promise<void> {
    const { clock, policy } = this.#options;
    const nowMs = clock.nowMs();
    this.nodeDesk.noteSilence((id) => this.#line(id), policy.pool.heartbeatTimeoutMs);
    await this.#watch.tick();
    if (nowMs - this.#renewedAtMs >= RENEW_MS) {
      this.#renewedAtMs = nowMs;
      for (const live of this.calls.functions.all()) await live.dispatcher.renewLeases();
    }
    await this.#upkeep.run(nowMs);
  }

  #line(nodeId: string): AgentLine | undefined {
    return this.links.get(nodeId);
  }

  /** The way by which containers are started: the world looks on. */
  #placingLink(nodeId: string): NodeLink | undefined {
    const link = this.links.get(nodeId);
    if (link === undefined || this.#options.life.isDead) return undefined;
    return {
      send: (message) => {
        if (message.type === "start") this.#options.onStart(this, nodeId);
        link.send(message);
      },
      acknowledge: (inputIds) => link.acknowledge(inputIds),
    };
  }

  #openStore(): RecordStore {
    const { life, store, storeFaultOf, seams } = this.#options;
    const base = seams.store?.(store) ?? store;
    const ports = [...STORE_PORTS, ...MORE_STORE_PORTS].map(
      (name) => [name, life.port(name, base[name], storeFaultOf)] as const,
    );
    return { ...base, ...Object.fromEntries(ports) };
  }

  #openCalls(): CallDesk {
    const { life, openQueue, seams, clock, onKick, onRecorded, onError } = this.#options;
    return new CallDesk({
      store: this.#store,
      blobs: { put: noBlobs, get: noBlobs, has: noBlobs },
      openQueue: (functionId) => {
        const queue = openQueue(functionId);
        return seams.queue?.(queue) ?? queue;
      },
      events: NO_EVENTS,
      clock,
      sendInputs: (containerId, inputs) => {
        const container = this.containers.get(containerId);
        const link = this.links.get(container?.nodeId ?? "");
        if (container === undefined || link === undefined || life.isDead) return false;
        container.idleSinceMs = undefined;
        link.send({
          type: "inputs",
          containerId,
          inputs: inputs.map(({ inputId, payload }) => ({ inputId, bytes: payload.byteLength })),
        });
        return true;
      },
      sendCredit: () => undefined,
      takeBack: (containerId, inputIds, abortRunning) => {
        const link = this.links.get(this.containers.get(containerId)?.nodeId ?? "");
        if (!life.isDead) link?.send({ type: "cancel", containerId, inputIds, abortRunning });
      },
      onLoadChanged: onKick,
      onRecorded: (settlement) => {
        if (!life.isDead) onRecorded(settlement);
      },
      onError,
    });
  }

  #openPool(providers: ReadonlyMap<CloudName, Provider>): PoolKeeper {
    const { clock, ids, policy, token, onKick, onError } = this.#options;
    const { budgetMicroUsdPerHourMax } = policy.optimizer;
    const fence: Fence = { name: "pool", token };
    let isClaimed = false;
    return new PoolKeeper({
      providers,
      store: this.#store,
      nodes: this.nodes,
      clock,
      ids,
      policy: policy.pool,
      clusterId: CLUSTER,
      listEveryMs: 1_000,
      userDataFor: () => "",
      ...(budgetMicroUsdPerHourMax === undefined ? {} : { budgetMicroUsdPerHourMax }),
      leadership: {
        lead: async () => {
          if (!isClaimed) await this.#store.fences.claim(fence);
          isClaimed = true;
          return fence;
        },
        deposed: () => undefined,
        close: () => Promise.resolve(),
      },
      events: NO_EVENTS,
      containers: this.#placing.desk,
      onUsable: onKick,
      onDraining: onKick,
      onMarketChanged: () => this.#capacity.replan(),
      onPoolEvent: (event) => this.#watch.note(event),
      onError,
    });
  }

  async #plan(input: PlanInput): Promise<{ plan: FleetPlan; solveMs: number }> {
    const { seams, solvers, onPlan } = this.#options;
    const plan = await (seams.plan?.(planFleet) ?? planFleet)(input, solvers());
    onPlan(input, plan);
    return { plan, solveMs: 0 };
  }
}

const NO_APPS = { expireLeases: () => Promise.resolve([]) };

function noBlobs(): never {
  throw new Error("no payload here is too large for the ledger");
}
