/**
 * The fleet: nodes, the containers on them, and the three rounds that keep both right.
 *
 * - place: load becomes wanted containers, wanted containers get nodes; runs on every change.
 * - provision: what got no node becomes demand, a plan, and rented machines.
 * - maintain: locks, silent nodes, usage, leases.
 *
 * The rounds observe, ask the deciding functions and apply; no decision is taken here.
 */
import type { Clock, CloudName, IdSource, Policy, Rng } from "../../core/index.ts";
import { PoolController, type RentBatch } from "../../pool/index.ts";
import type { Provider } from "../../providers/index.ts";
import { AgentHub } from "../agents/hub.ts";
import type { CallDesk } from "../calls/call-desk.ts";
import type { LocalInput } from "../calls/input.ts";
import type { Settlement } from "../calls/settlement.ts";
import type { Metrics } from "../http/metrics.ts";
import type { EventBus, FleetService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { Autoscaling } from "./autoscaling.ts";
import { Capacity } from "./capacity.ts";
import { ContainerDesk, noteIdle } from "./container-desk.ts";
import { ContainerTable } from "./container-table.ts";
import { EvictionRound } from "./eviction.ts";
import { Market } from "./market.ts";
import { NodeDesk } from "./node-desk.ts";
import { NodeTable } from "./node-table.ts";
import { OfferWatch } from "./observed/offer-watch.ts";
import { Placement } from "./placement.ts";
import { Planner } from "./planner.ts";
import { listenToPool, poolLedgerOf } from "./pool-side.ts";
import { Round } from "./round.ts";
import { createFleetService } from "./views.ts";

export interface FleetOptions {
  readonly store: RecordStore;
  readonly calls: CallDesk;
  readonly events: EventBus;
  readonly metrics: Metrics;
  readonly providers: ReadonlyMap<CloudName, Provider>;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly rng: Rng;
  readonly clusterId: string;
  readonly version: string;
  /** How often machines are looked at; shorter for emulated clouds. */
  readonly listEveryMs: number;
  /** What the machines of a batch start with. */
  readonly userDataFor: (clientToken: string, batch: RentBatch) => Promise<string>;
  /** Known to this platform alone. */
  readonly key: Uint8Array;
  /** Whose agents those of rented machines are. */
  readonly workspaceId: string;
  /** Housekeeping of others, once a second. */
  readonly onMaintain: (nowMs: number) => Promise<void>;
  readonly onError: (error: unknown, doing: string) => void;
}

const TICK_MS = 500;
const MAINTAIN_MS = 1_000;
const RENEW_MS = 4_000;

export class Fleet {
  readonly service: FleetService;
  readonly hub: AgentHub;
  readonly nodes: NodeTable;
  readonly #options: FleetOptions;
  readonly #containers = new ContainerTable();
  readonly #desk: ContainerDesk;
  readonly #nodeDesk: NodeDesk;
  readonly #autoscaling: Autoscaling;
  readonly #placement: Placement;
  readonly #eviction: EvictionRound;
  readonly #capacity: Capacity;
  readonly #market: Market;
  readonly #watch: OfferWatch;
  readonly #pool: PoolController;
  readonly #planner: Planner;
  readonly #place: Round;
  readonly #provision: Round;
  readonly #maintain: Round;
  readonly #gpuMsUsed = new Map<string, number>();
  #renewedAtMs = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { store, calls, events, clock, ids, onError, policy, providers } = options;
    const { functions } = calls;
    const containers = this.#containers;
    this.nodes = new NodeTable(store.nodes);
    this.#planner = new Planner(onError);
    this.#watch = new OfferWatch({ records: store.offers, clock });
    this.#market = new Market({ providers, clock, observed: this.#watch.observed, onError });
    const round = (doing: string, everyMs: number, step: () => Promise<void>): Round =>
      new Round({ clock, doing, everyMs, step, onError });
    this.#place = round("placing containers", TICK_MS, () => this.#placeStep());
    this.#provision = round("provisioning machines", TICK_MS, () => this.#provisionStep());
    this.#maintain = round("keeping house", MAINTAIN_MS, () => this.#maintainStep());
    const kickPlace = (): void => this.#place.kick();
    const placementHub = { link: (nodeId: string) => this.hub.link(nodeId) };
    const shared = { containers, nodes: this.nodes, events, clock, hub: placementHub };
    this.#placement = new Placement({ ...shared, rng: options.rng });
    this.#desk = new ContainerDesk({
      ...shared,
      functions,
      placement: this.#placement,
      loadHeld: (inputIds) => calls.loadHeld(inputIds),
      onColdStart: (startMs) => options.metrics.coldStarted(startMs),
      onLoadChanged: kickPlace,
      onError,
    });
    this.#nodeDesk = new NodeDesk({
      ...options,
      nodes: this.nodes,
      containers: this.#desk,
      onArrived: () => this.kick(),
      onInterrupted: () => this.kick(),
      joinLifetimeMs: policy.pool.registrationTimeoutMs,
    });
    this.hub = new AgentHub({
      events: this.#nodeDesk,
      clock,
      silenceMsMax: policy.pool.heartbeatTimeoutMs,
      onError,
    });
    const stop = (container: Parameters<ContainerDesk["stop"]>[0], reason: string): void =>
      this.#desk.stop(container, reason);
    this.#autoscaling = new Autoscaling({ functions, containers, clock, ids, stop });
    this.#eviction = new EvictionRound({
      containers,
      nodes: () => this.#placement.schedulableNodes(),
      clock,
      stop,
    });
    this.#pool = this.#openPool();
    this.#capacity = new Capacity({
      ...options,
      containers,
      nodes: this.nodes,
      planner: this.#planner,
      offers: async () => this.#pool.openOffers(await this.#market.offers()),
      plans: store.plans,
    });
    this.service = createFleetService({
      ...options,
      functions,
      containers,
      nodes: this.nodes,
      startedAtMs: clock.nowMs(),
      stop,
      latestPlan: () => this.#capacity.latest,
    });
  }

  /** Reads the nodes of an earlier run; from then on agents may connect. */
  async open(): Promise<void> {
    await this.nodes.load(this.#options.clock.nowMs());
    await this.#watch.load(this.nodes.all().map(({ stored }) => stored.node));
  }

  /** Begins to place containers and to rent machines. */
  start(): void {
    this.#place.start();
    this.#provision.start();
    this.#maintain.start();
  }

  /** Something changed: look at once. */
  kick(): void {
    this.#place.kick();
    this.#provision.kick();
  }

  /** Load changed: only placing needs to look. */
  kickPlace(): void {
    this.#place.kick();
  }

  sendInputs(containerId: string, inputs: readonly LocalInput[]): boolean {
    const container = this.#containers.get(containerId);
    const link = container?.nodeId === undefined ? undefined : this.hub.link(container.nodeId);
    if (container === undefined || link === undefined) return false;
    container.idleSinceMs = undefined;
    link.send(
      {
        type: "inputs",
        containerId,
        inputs: inputs.map(({ inputId, payload }) => ({ inputId, bytes: payload.byteLength })),
      },
      inputs.map(({ payload }) => payload),
    );
    return true;
  }

  takeBack(containerId: string, inputIds: readonly string[], abortRunning: boolean): void {
    const nodeId = this.#containers.get(containerId)?.nodeId;
    const link = nodeId === undefined ? undefined : this.hub.link(nodeId);
    link?.send({ type: "cancel", containerId, inputIds, abortRunning });
  }

  /** Counts the GPU time of a result to the node it ran on. */
  noteUse({ containerId }: Settlement, gpuMs: number): void {
    if (containerId === undefined || gpuMs === 0) return;
    const nodeId = this.#containers.get(containerId)?.nodeId;
    if (nodeId === undefined) return;
    this.#gpuMsUsed.set(nodeId, (this.#gpuMsUsed.get(nodeId) ?? 0) + gpuMs);
  }

  stopApp(appId: string, reason: string): void {
    this.#desk.stopApp(appId, reason);
    this.kick();
  }

  async close(): Promise<void> {
    await Promise.all([this.#place.close(), this.#provision.close(), this.#maintain.close()]);
    await this.#flushUse();
    await this.#watch.flush();
    this.hub.close();
    await this.#planner.close();
  }

  #openPool(): PoolController {
    const { store, events, policy, userDataFor, onError } = this.#options;
    const { budgetMicroUsdPerHourMax } = policy.optimizer;
    const listen = listenToPool({
      events,
      containers: this.#desk,
      onUsable: () => this.#place.kick(),
      onMarketChanged: () => this.#capacity.replan(),
      onError,
    });
    return new PoolController({
      ...this.#options,
      ledger: poolLedgerOf(this.nodes, store.nodes, this.#options.clock),
      policy: policy.pool,
      userDataFor: ({ clientToken, batch }) => userDataFor(clientToken, batch),
      ...(budgetMicroUsdPerHourMax === undefined ? {} : { budgetMicroUsdPerHourMax }),
      onEvent: (event) => {
        this.#watch.note(event);
        listen(event);
      },
    });
  }

  async #placeStep(): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    for (const container of this.#containers.all()) noteIdle(container, nowMs);
    await this.#autoscaling.tick();
    const pendingBefore = this.#pendingReasons();
    this.#placement.tick();
    this.#eviction.tick();
    for (const live of this.#options.calls.functions.all()) live.dispatcher.pump();
    if (this.#pendingReasons() !== pendingBefore) this.#provision.kick();
  }

  async #provisionStep(): Promise<void> {
    const { nodes } = this;
    const containers = this.#containers.placed();
    nodes.noteOccupied(
      new Set(containers.map(({ nodeId }) => nodeId)),
      this.#options.clock.nowMs(),
    );
    await this.#capacity.tick();
    await this.#pool.tick(this.#capacity.desired, {
      offers: await this.#market.offers(),
      containers,
      agents: nodes.sightings(),
      emptySinceMs: nodes.emptySince(),
    });
  }

  async #maintainStep(): Promise<void> {
    const { clock, policy, calls, onMaintain } = this.#options;
    const nowMs = clock.nowMs();
    this.#nodeDesk.noteSilence((nodeId) => this.hub.link(nodeId), policy.pool.heartbeatTimeoutMs);
    await this.#flushUse();
    await this.#watch.tick();
    this.#measure();
    if (nowMs - this.#renewedAtMs >= RENEW_MS) {
      this.#renewedAtMs = nowMs;
      for (const live of calls.functions.all()) await live.dispatcher.renewLeases();
    }
    await onMaintain(nowMs);
  }

  async #flushUse(): Promise<void> {
    const used = [...this.#gpuMsUsed];
    this.#gpuMsUsed.clear();
    await Promise.all(used.map(([nodeId, gpuMs]) => this.nodes.addGpuUse(nodeId, gpuMs)));
  }

  #measure(): void {
    const { metrics, calls } = this.#options;
    const open = calls.functions.all().reduce((sum, live) => sum + live.open.openCount, 0);
    const running = calls.functions
      .all()
      .reduce((sum, live) => sum + live.dispatcher.runningCount, 0);
    metrics.setQueueDepth(Math.max(0, open - running));
    const states = ["pending", "starting", "ready", "stopping"] as const;
    for (const state of states) {
      const count = this.#containers.all().filter((one) => one.state === state).length;
      metrics.setContainers(state, count);
    }
    const byState = Map.groupBy(this.nodes.all(), ({ stored }) => stored.node.state);
    for (const [state, records] of byState) metrics.setNodes(state, records.length);
  }

  /** Changes when a container begins or ceases to wait, or waits for another reason. */
  #pendingReasons(): string {
    return this.#containers
      .all()
      .filter((container) => container.state === "pending")
      .map(({ containerId, pendingReason }) => `${containerId}=${pendingReason ?? ""}`)
      .join(";");
  }
}
