/**
 * The rented fleet of a run: the production pool controller on a simulated market.
 *
 * A machine that has booted is heard at once and takes containers, as an agent that connects
 * does; what the pool makes of it follows at its next tick. A node that the pool drains takes
 * nothing new, its idle containers end, and those at work end when they are done.
 */
import {
  type Clock,
  type IdSource,
  type Node,
  type PlacedContainer,
  type PoolPolicy,
} from "../../core/index.ts";
import {
  PoolController,
  type AgentSighting,
  type DesiredLine,
  type PoolEvent,
  type PoolControllerState,
  type PoolLedger,
  type PoolRecord,
} from "../../pool/index.ts";
import type { OfferFleet } from "../capacity-policy.ts";
import type { Container } from "./function-state.ts";
import { marketDesk } from "./desk.ts";
import type { Machine, MachineEvent } from "./machine.ts";
import type { Market } from "./market.ts";

export interface FleetOptions {
  readonly market: Market;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly policy: PoolPolicy;
  /** Containers are to leave a node: those that are idle at once, the others when done. */
  readonly onDrained: (nodeId: string, nowMs: number) => void;
  /** A machine is gone with all that was on it. */
  readonly onLost: (nodeId: string, nowMs: number) => void;
  /** A node takes containers from now on. */
  readonly onReady: () => void;
}

/** A machine that has booted, as the rest of the simulation sees it. */
interface Station {
  readonly machine: Machine;
  node: Node;
  isDraining: boolean;
  readonly containers: Set<Container>;
  emptySinceMs: number;
}

/** A fleet that was written down; containers by id. Plain data. */
export interface FleetState {
  readonly controller: PoolControllerState;
  readonly records: Map<string, PoolRecord>;
  readonly stations: readonly (Omit<Station, "containers"> & {
    readonly containerIds: readonly string[];
  })[];
  /** Nodes whose agents talk. */
  readonly agents: readonly string[];
  readonly heardAtMs: number;
  readonly emptySinceMs: Map<string, number>;
  readonly schedulable: readonly Node[] | undefined;
  readonly readyGpus: number;
  readonly paidGpus: number;
  readonly releases: number;
}

const CLUSTER = "simulated";

export class Fleet {
  readonly #options: FleetOptions;
  readonly #controller: PoolController;
  readonly #ledger = new MemoryLedger();
  readonly #stations = new Map<string, Station>();
  readonly #agents = new Map<string, AgentSighting>();
  /** All agents that are not about to go are heard at each tick. */
  readonly #heard = { lastHeardAtMs: 0 };
  #emptySinceMs = new Map<string, number>();
  #schedulable: readonly Node[] | undefined;
  readyGpus = 0;
  paidGpus = 0;
  releases = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    const { market, clock, ids, policy } = options;
    this.#controller = new PoolController({
      providers: new Map(market.clouds.map((cloud) => [cloud, marketDesk(cloud, market)])),
      ledger: this.#ledger,
      clock,
      ids,
      policy,
      clusterId: CLUSTER,
      userDataFor: () => "",
      onEvent: (event) => this.#hear(event),
      listEveryMs: 0,
    });
  }

  /** What it holds. */
  save(): FleetState {
    return {
      controller: this.#controller.save(),
      records: this.#ledger.records,
      stations: [...this.#stations.values()].map(({ containers, ...rest }) => ({
        ...rest,
        containerIds: [...containers].map(({ containerId }) => containerId),
      })),
      agents: [...this.#agents.keys()],
      heardAtMs: this.#heard.lastHeardAtMs,
      emptySinceMs: this.#emptySinceMs,
      schedulable: this.#schedulable,
      readyGpus: this.readyGpus,
      paidGpus: this.paidGpus,
      releases: this.releases,
    };
  }

  /** Takes the place of what it holds; its market has taken its own place already. */
  resume(state: FleetState, containers: ReadonlyMap<string, Container>): void {
    this.#controller.resume(state.controller);
    this.#ledger.records = state.records;
    this.#stations.clear();
    for (const { containerIds, ...rest } of state.stations) {
      const own = containerIds.flatMap((id) => containers.get(id) ?? []);
      this.#stations.set(rest.node.nodeId, { ...rest, containers: new Set(own) });
    }
    const machines = [...this.#options.market.machines.values()];
    const machineOf = new Map(machines.map((machine) => [machine.nodeId, machine]));
    this.#agents.clear();
    for (const nodeId of state.agents) {
      const machine = machineOf.get(nodeId);
      if (machine !== undefined) this.#agents.set(nodeId, this.#sightingOf(machine));
    }
    this.#heard.lastHeardAtMs = state.heardAtMs;
    this.#emptySinceMs = state.emptySinceMs;
    this.#schedulable = state.schedulable;
    this.readyGpus = state.readyGpus;
    this.paidGpus = state.paidGpus;
    this.releases = state.releases;
  }

  /** Nodes that take containers; the same list and objects until something changes. */
  get schedulable(): readonly Node[] {
    this.#schedulable ??= [...this.#stations.values()].flatMap((station) =>
      station.isDraining ? [] : [station.node],
    );
    return this.#schedulable;
  }

  /** Offers that nothing was refused for lately. */
  openOffers(): ReturnType<PoolController["openOffers"]> {
    return this.#controller.openOffers(this.#options.market.offers);
  }

  /** Requested, booting and ready nodes by offer. */
  present(): readonly OfferFleet[] {
    const offers = new Map(this.#options.market.offers.map((one) => [one.offerId, one]));
    const counts = new Map<string, number>();
    for (const { node } of this.#ledger.open()) {
      if (node.offerId === undefined || node.state === "draining") continue;
      counts.set(node.offerId, (counts.get(node.offerId) ?? 0) + 1);
    }
    return [...counts].flatMap(([offerId, nodeCount]) => {
      const offer = offers.get(offerId);
      return offer === undefined ? [] : [{ offer, nodeCount }];
    });
  }

  get nodeCount(): number {
    return this.#options.market.machines.size;
  }

  async tick(
    desired: readonly DesiredLine[],
    containers: readonly PlacedContainer[],
    waiting: readonly Pick<PlacedContainer, "containerId" | "resources" | "needs">[],
  ): Promise<void> {
    this.#heard.lastHeardAtMs = this.#options.clock.nowMs();
    await this.#controller.tick(desired, {
      offers: this.#options.market.offers,
      containers,
      waiting,
      agents: this.#agents,
      emptySinceMs: this.#emptySinceMs,
    });
    this.#ledger.forgetEnded();
  }

  /** A container sits on a node now. */
  admit(container: Container): void {
    const station = this.#stations.get(container.nodeId ?? "");
    if (station === undefined) return;
    station.containers.add(container);
    this.#emptySinceMs.delete(station.node.nodeId);
  }

  /** A container has left its node. */
  dismiss(container: Container, nowMs: number): void {
    const station = this.#stations.get(container.nodeId ?? "");
    if (station === undefined) return;
    station.containers.delete(container);
    if (station.containers.size === 0) this.#emptySinceMs.set(station.node.nodeId, nowMs);
  }

  containersOn(nodeId: string): readonly Container[] {
    return [...(this.#stations.get(nodeId)?.containers ?? [])];
  }

  /** What has happened to a machine. */
  noteMachine(machine: Machine, event: MachineEvent, nowMs: number): void {
    switch (event) {
      case "launched":
        this.paidGpus += machine.offer.resources.gpuCount;
        return;
      case "booted":
        this.#boot(machine, nowMs);
        return;
      case "notice":
        this.#agents.set(machine.nodeId, this.#sightingOf(machine));
        return;
      case "gone":
        this.#lose(machine, nowMs);
    }
  }

  #boot(machine: Machine, nowMs: number): void {
    const record = this.#ledger.find(machine.nodeId);
    if (record === undefined) return;
    this.#agents.set(machine.nodeId, this.#sightingOf(machine));
    if (record.node.state === "draining" || record.node.state === "terminated") return;
    const node: Node = { ...record.node, state: "healthy" };
    this.#stations.set(machine.nodeId, {
      machine,
      node,
      isDraining: false,
      containers: new Set(),
      emptySinceMs: nowMs,
    });
    this.#emptySinceMs.set(machine.nodeId, nowMs);
    this.readyGpus += machine.offer.resources.gpuCount;
    this.#schedulable = undefined;
    this.#options.onReady();
  }

  #lose(machine: Machine, nowMs: number): void {
    this.paidGpus -= machine.offer.resources.gpuCount;
    this.#agents.delete(machine.nodeId);
    const station = this.#stations.get(machine.nodeId);
    if (station === undefined) return;
    if (station.containers.size > 0) this.#options.onLost(machine.nodeId, nowMs);
    this.#stations.delete(machine.nodeId);
    this.#emptySinceMs.delete(machine.nodeId);
    if (!station.isDraining) this.readyGpus -= machine.offer.resources.gpuCount;
    this.#schedulable = undefined;
  }

  #sightingOf({ reclaimAtMs }: Machine): AgentSighting {
    const heard = this.#heard;
    if (reclaimAtMs === undefined) return heard;
    return {
      get lastHeardAtMs() {
        return heard.lastHeardAtMs;
      },
      reclaimAtMs,
    };
  }

  #hear(event: PoolEvent): void {
    if (event.kind !== "draining" && event.kind !== "cordoned" && event.kind !== "releasing")
      return;
    if (event.kind === "releasing") this.releases += 1;
    const station = this.#stations.get(event.node.nodeId);
    if (station === undefined || station.isDraining) return;
    station.isDraining = true;
    this.readyGpus -= station.machine.offer.resources.gpuCount;
    this.#schedulable = undefined;
    this.#options.onDrained(event.node.nodeId, event.atMs);
  }
}

/** Records in memory; ended ones are forgotten after each tick. */
class MemoryLedger implements PoolLedger {
  #records = new Map<string, PoolRecord>();
  #open: readonly PoolRecord[] | undefined;

  get records(): Map<string, PoolRecord> {
    return this.#records;
  }

  set records(records: Map<string, PoolRecord>) {
    this.#records = records;
    this.#open = undefined;
  }

  put(records: readonly PoolRecord[]): Promise<void> {
    for (const record of records) this.#records.set(record.node.nodeId, record);
    this.#open = undefined;
    return Promise.resolve();
  }

  get(nodeId: string): Promise<PoolRecord | undefined> {
    return Promise.resolve(this.#records.get(nodeId));
  }

  listOpen(): Promise<readonly PoolRecord[]> {
    return Promise.resolve(this.open());
  }

  /** Machines of the simulator keep their tags: nobody asks. */
  findByMachine(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  /** A run is one life of the pool: nothing is ever read back. */
  note(): Promise<void> {
    return Promise.resolve();
  }

  recall(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  find(nodeId: string): PoolRecord | undefined {
    return this.#records.get(nodeId);
  }

  open(): readonly PoolRecord[] {
    this.#open ??= [...this.#records.values()].filter(({ node }) => node.state !== "terminated");
    return this.#open;
  }

  forgetEnded(): void {
    for (const [nodeId, { node }] of this.#records) {
      if (node.state === "terminated") this.#records.delete(nodeId);
    }
  }
}
