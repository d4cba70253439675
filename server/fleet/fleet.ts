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
import type { RentBatch } from "../../pool/index.ts";
import type { Provider } from "../../providers/index.ts";
import type {
  InputHeader,
  PackWish,
  Piece,
  ShellWish,
  VolumeStart,
  WebWish,
} from "../../sandbox/index.ts";
import type { SecretValues } from "../../sdk/protocol/index.ts";
import { AgentHub } from "../agents/hub.ts";
import type { CallDesk } from "../calls/call-desk.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import type { LocalInput } from "../calls/input.ts";
import type { StreamProgress } from "../calls/streams.ts";
import type { Settlement } from "../calls/settlement.ts";
import type { Metrics } from "../http/metrics.ts";
import type { StreamNews } from "../gateway/container-streams.ts";
import type { EventBus, FleetService, PoolService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import { fleetUsage } from "../usage/fleet-usage.ts";
import type { UsageMeter } from "../usage/usage-meter.ts";
import { Capacity } from "./capacity.ts";
import { ContainerTable, type ContainerRecord } from "./container-table.ts";
import { Market } from "./market.ts";
import { NodeDesk } from "./node-desk.ts";
import { NodeTable } from "./node-table.ts";
import { OfferWatch } from "./observed/offer-watch.ts";
import { Placing } from "./placing.ts";
import { Planner } from "./planner.ts";
import type { Leadership } from "./leadership.ts";
import { PoolKeeper } from "./pool-keeper.ts";
import { createPoolService } from "./pool-service.ts";
import { Round } from "./round.ts";
import { snapshotIdOf } from "./snapshot-id.ts";
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
  /** Of the replicas of this platform one keeps the pool. */
  readonly leadership: Leadership;
  /** Known to this platform alone. */
  readonly key: Uint8Array;
  /** Whose agents those of rented machines are. */
  readonly workspaceId: string;
  /** Counts what containers use, and keeps the quotas of workspaces. */
  readonly meter: UsageMeter;
  /** The values of the secrets that a function names. */
  readonly secretsOf: (live: LiveFunction) => Promise<SecretValues>;
  /** The volumes of a container of a function that has some. */
  readonly volumesOf: (live: LiveFunction, containerId: string) => Promise<readonly VolumeStart[]>;
  /** Who is told of the byte streams of containers. */
  readonly streams: StreamNews;
  /** What is to become of the response of a web request that leaves for a container. */
  readonly claimWeb: (input: LocalInput, containerId: string) => WebWish;
  /** Housekeeping of others, once a second. */
  readonly onMaintain: (nowMs: number) => Promise<void>;
  readonly onError: (error: unknown, doing: string) => void;
}

const TICK_MS = 500;
const MAINTAIN_MS = 1_000;
const RENEW_MS = 4_000;

export class Fleet {
  readonly service: FleetService;
  readonly pool: PoolService;
  readonly hub: AgentHub;
  readonly nodes: NodeTable;
  readonly #options: FleetOptions;
  readonly #containers: ContainerTable;
  readonly #nodeDesk: NodeDesk;
  readonly #placing: Placing;
  readonly #capacity: Capacity;
  readonly #market: Market;
  readonly #watch: OfferWatch;
  readonly #pool: PoolKeeper;
  readonly #planner: Planner;
  readonly #place: Round;
  readonly #provision: Round;
  readonly #maintain: Round;
  readonly #gpuMsUsed = new Map<string, number>();
  #renewedAtMs = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { store, calls, clock, onError, policy, providers } = options;
    const { functions } = calls;
    this.nodes = new NodeTable(store.nodes);
    const usage = fleetUsage(options.meter, (nodeId) => this.nodes.get(nodeId)?.stored.node);
    const containers = new ContainerTable(usage.removed);
    this.#containers = containers;
    this.#planner = new Planner(onError);
    this.#watch = new OfferWatch({ records: store.offers, clock });
    this.#market = new Market({ providers, clock, observed: this.#watch.observed, onError });
    const round = (doing: string, everyMs: number, step: () => Promise<void>): Round =>
      new Round({ clock, doing, everyMs, step, onError });
    this.#place = round("placing containers", TICK_MS, () => this.#placeStep());
    this.#provision = round("provisioning machines", TICK_MS, () => this.#provisionStep());
    this.#maintain = round("keeping house", MAINTAIN_MS, () => this.#maintainStep());
    this.#placing = new Placing({
      ...options,
      functions,
      containers,
      nodes: this.nodes,
      hub: { link: (nodeId: string) => this.hub.link(nodeId) },
      policy: policy.scheduler,
      usage,
      desired: () => this.#capacity.desired,
      releaseByMs: (nodeId) => this.#pool.latest?.releaseByMs.get(nodeId),
      loadHeld: (inputIds) => calls.loadHeld(inputIds),
      onYielded: (...yielded) => calls.yielded(...yielded),
      onColdStart: (startMs) => options.metrics.coldStarted(startMs),
      onLoadChanged: () => this.#place.kick(),
    });
    this.#nodeDesk = new NodeDesk({
      ...options,
      nodes: this.nodes,
      containers: this.#placing.desk,
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
      stop: (container, reason) => this.#placing.desk.stop(container, reason),
      latestPlan: () => this.#capacity.latest,
      unfit: () => this.#pool.latest?.fitness.faults ?? new Map<string, string>(),
    });
    this.pool = this.#openPoolService();
  }

  /** Reads the nodes of an earlier run; from then on agents may connect. */
  async open(): Promise<void> {
    await this.nodes.load(this.#options.clock.nowMs());
    await this.#watch.load(this.nodes.all().map(({ stored }) => stored.node));
    await this.#options.meter.recover(this.#isOpen);
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

  /** Whether there is a container of this id. */
  hasContainer(containerId: string): boolean {
    return this.#containers.get(containerId) !== undefined;
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
        inputs: inputs.map((input) => this.#headerOf(input, container)),
      },
      inputs.map(({ payload }) => payload),
    );
    return true;
  }

  /** Asks a container's node for a shell in it; false when the node is not connected. */
  openShell(containerId: string, wish: ShellWish): boolean {
    const nodeId = this.#containers.get(containerId)?.nodeId;
    const link = nodeId === undefined ? undefined : this.hub.link(nodeId);
    link?.send({ type: "shell", containerId, ...wish });
    return link !== undefined;
  }

  /** Asks a container's node for what it has written; false when the node is not connected. */
  packWritten(containerId: string, wish: PackWish): boolean {
    const nodeId = this.#containers.get(containerId)?.nodeId;
    const link = nodeId === undefined ? undefined : this.hub.link(nodeId);
    link?.send({ type: "pack", containerId, ...wish });
    return link !== undefined;
  }

  /** Sends a step of a byte stream to a container. */
  sendPiece(containerId: string, streamId: string, piece: Piece, body: Uint8Array): void {
    const nodeId = this.#containers.get(containerId)?.nodeId;
    const link = nodeId === undefined ? undefined : this.hub.link(nodeId);
    link?.send({ type: "stream", containerId, streamId, piece }, [body]);
  }

  /** Tells a container how far the reader of a generator's values is. */
  sendCredit(containerId: string, inputId: string, progress: StreamProgress): void {
    const nodeId = this.#containers.get(containerId)?.nodeId;
    const link = nodeId === undefined ? undefined : this.hub.link(nodeId);
    link?.send({ type: "credit", containerId, inputId, ...progress });
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

  /** Whether a node has a container of a function whose memory is known by this name. */
  runsSnapshot(nodeId: string, snapshotId: string): boolean {
    const own = this.#containers.ofNode(nodeId);
    return own.some(({ live }) => snapshotIdOf(live) === snapshotId);
  }

  /** The workspaces whose containers run on a node in this image, or are expected there soon. */
  workspacesOn(nodeId: string, contentId: string): readonly string[] {
    return this.#placing.workspacesOn(nodeId, contentId);
  }

  stopApp(appId: string, reason: string): void {
    this.#placing.desk.stopApp(appId, reason);
    this.kick();
  }

  async close(): Promise<void> {
    await Promise.all([this.#place.close(), this.#provision.close(), this.#maintain.close()]);
    await this.#options.meter.beat(this.#isOpen);
    await this.#flushUse();
    await this.#pool.close();
    await this.#watch.flush();
    this.hub.close();
    await this.#planner.close();
  }

  #headerOf(input: LocalInput, { live, containerId }: ContainerRecord): InputHeader {
    const { inputId, payload, stream } = input;
    const isWeb = live.spec.web !== undefined;
    return {
      inputId,
      bytes: payload.byteLength,
      ...(stream === undefined ? {} : { skip: stream.valueCount }),
      ...(isWeb ? { web: this.#options.claimWeb(input, containerId) } : {}),
    };
  }

  #openPool(): PoolKeeper {
    const { policy, userDataFor } = this.#options;
    const { budgetMicroUsdPerHourMax } = policy.optimizer;
    return new PoolKeeper({
      ...this.#options,
      nodes: this.nodes,
      policy: policy.pool,
      owner: this.#options.workspaceId,
      userDataFor: ({ clientToken, batch }) => userDataFor(clientToken, batch),
      ...(budgetMicroUsdPerHourMax === undefined ? {} : { budgetMicroUsdPerHourMax }),
      containers: this.#placing.desk,
      onUsable: () => this.#place.kick(),
      onDraining: () => this.#place.kick(),
      onMarketChanged: () => this.#capacity.replan(),
      onPoolEvent: (event) => this.#watch.note(event),
    });
  }

  #openPoolService(): PoolService {
    return createPoolService({
      ...this.#options,
      nodes: this.nodes,
      containers: this.#containers,
      latestTick: () => this.#pool.latest,
      wantedNodeCount: () =>
        (this.#capacity.desired ?? []).reduce((sum, { count }) => sum + count, 0),
      offers: () => this.#market.offers(),
      order: (order) => this.#pool.order(order),
      kick: () => this.#provision.kick(),
    });
  }

  async #placeStep(): Promise<void> {
    if (await this.#placing.tick()) this.#provision.kick();
  }

  async #provisionStep(): Promise<void> {
    if (!(await this.#pool.leads())) return;
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
      waiting: this.#containers.waiting(),
      agents: () => nodes.sightings(),
      emptySinceMs: nodes.emptySince(),
    });
  }

  async #maintainStep(): Promise<void> {
    const { clock, policy, calls, onMaintain } = this.#options;
    const nowMs = clock.nowMs();
    this.#nodeDesk.noteSilence((nodeId) => this.hub.link(nodeId), policy.pool.heartbeatTimeoutMs);
    await this.#options.meter.beat(this.#isOpen);
    await this.#flushUse();
    await this.#watch.tick();
    this.#measure();
    if (nowMs - this.#renewedAtMs >= RENEW_MS) {
      this.#renewedAtMs = nowMs;
      for (const live of calls.functions.all()) await live.dispatcher.renewLeases();
    }
    await onMaintain(nowMs);
  }

  readonly #isOpen = (nodeId: string): boolean => {
    const state = this.nodes.get(nodeId)?.stored.node.state;
    return state !== undefined && state !== "terminated";
  };

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
}
