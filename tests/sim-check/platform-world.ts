/**
 * The whole platform in one thread on virtual time, and all that can go wrong around it.
 *
 *     users -> server life (calls, placing, capacity, pool) -> links -> agents on machines
 *                 |                    |
 *              queue, record store   cloud
 *
 * Production code decides and records; queue, links, agents and cloud are models of what they
 * stand for. Faults are drawn from the seed for some minutes; then nothing more goes wrong, and
 * everything must come to its end: each accepted input with a result, each machine given back.
 * Checkers look at every tick, past all ports.
 */
import {
  countingIds,
  createRng,
  MS_PER_MINUTE,
  PlatformError,
  type IdSource,
  type Rng,
} from "../../core/index.ts";
import type { ProviderNode } from "../../providers/index.ts";
import { batchTokenOf } from "../../server/fleet/batch-joins.ts";
import { steadyTime } from "../../server/steady-time.ts";
import { openRecordStore } from "../../server/store/sqlite/open.ts";
import type { RecordStore } from "../../server/store/record-store.ts";
import { AgentModel, type Work } from "./agent-model.ts";
import { CallChecks } from "./call-checks.ts";
import { CloudModel } from "./cloud-model.ts";
import { FleetChecks } from "./fleet-checks.ts";
import { Lifetime, type CallFault } from "./lifetime.ts";
import { LinkModel } from "./link-model.ts";
import { FUNCTIONS, OFFERS, SIM_POLICY } from "./market-model.ts";
import { JUMP_MS, Misfortune } from "./misfortune.ts";
import { QueueModel } from "./queue-model.ts";
import { RunRecord, type RunResult } from "./record.ts";
import {
  CLUSTER,
  JOIN_KEY,
  ServerLife,
  WORKSPACE,
  type Seams,
  type Solvers,
} from "./server-life.ts";
import { Users } from "./users.ts";
import { VirtualTime } from "./virtual-time.ts";

const START_MS = 1_000_000_000;
const TICK_MS = 500;
const FAULT_TICKS = 240;
const CALM_MS_MAX = 20 * MS_PER_MINUTE;
const PROVISION_EVERY_TICKS = 2;
const BEAT_EVERY_TICKS = 4;
const LEDGER_EVERY_TICKS = 4;
const KICK_MS = 15;
const REJECTIONS_MAX = 5;
const APP = "ap_sim";

/** An agent, its machine, and how it stands with the server. */
interface Seat {
  readonly agent: AgentModel;
  readonly machine: ProviderNode;
  session: string | undefined;
  rejections: number;
  isConnecting: boolean;
  isAlive: boolean;
}

export interface PlatformOptions {
  readonly seams?: Seams;
  /** Warm ones, so that they answer within a turn. */
  readonly solvers: Solvers;
  /** Last events kept; a handful unless given. */
  readonly traceMax?: number | undefined;
}

export class PlatformWorld {
  readonly #time = new VirtualTime(START_MS);
  readonly #record: RunRecord;
  readonly #rng: Rng;
  readonly #misfortune: Misfortune;
  readonly #ids: IdSource = countingIds();
  readonly #store: RecordStore = openRecordStore(":memory:");
  readonly #queue: QueueModel;
  readonly #cloud: CloudModel;
  readonly #users: Users;
  readonly #callChecks: CallChecks;
  readonly #fleetChecks: FleetChecks;
  readonly #seats = new Map<string, Seat>();
  readonly #seams: Seams;
  readonly #workingSolvers: Solvers;
  #server: ServerLife | undefined;
  #life: Lifetime | undefined;
  #lives = 0;
  #runs = 0;
  #strays = 0;
  #jumpMs = 0;
  #hasJumped = false;
  #queueAwaySinceMs = -Infinity;
  #isStoreAway = false;
  #isCalm = false;
  #isKicked = false;
  #machines: readonly ProviderNode[] = [];

  constructor(seed: number, { seams = {}, solvers, traceMax }: PlatformOptions) {
    this.#seams = seams;
    this.#workingSolvers = solvers;
    this.#record = new RunRecord(() => this.#time.nowMs(), traceMax);
    this.#rng = createRng(`platform ${seed}`);
    this.#misfortune = new Misfortune(this.#rng.fork("misfortune"));
    this.#queue = new QueueModel({
      nowMs: () => this.#time.nowMs(),
      onLostLock: ({ functionId, range }) => this.#lostLock(`${functionId} ${range.callId}`),
    });
    this.#cloud = this.#openCloud();
    this.#callChecks = new CallChecks(this.#store, this.#record);
    this.#fleetChecks = new FleetChecks({
      record: this.#record,
      store: this.#store,
      policy: SIM_POLICY,
      offers: OFFERS,
      nowMs: () => this.#time.nowMs(),
    });
    this.#users = new Users({
      time: this.#time,
      rng: this.#rng.fork("users"),
      record: this.#record,
      who: { workspaceId: WORKSPACE, tokenId: "to_user" },
      functionIds: FUNCTIONS.map(({ name }) => `fn_${name}`),
      service: () => (this.#server?.isOpen === true ? this.#server.calls.service : undefined),
    });
  }

  /** The whole run. */
  async run(seed: number): Promise<RunResult> {
    const restore = this.#time.install();
    try {
      this.#record.event(`faults: ${this.#misfortune.kinds.join(", ") || "none"}`);
      await this.#deploy();
      this.#beginLife();
      for (let tick = 0; tick < FAULT_TICKS; tick += 1) {
        this.#strike();
        if (this.#rng.below(5) === 0) this.#users.submit();
        await this.#tick(tick, TICK_MS);
      }
      await this.#calm();
      await this.#lookBack();
      return this.#record.result("platform", seed);
    } finally {
      this.#life?.die("the end of the run");
      restore();
      await this.#store.close();
    }
  }

  // ---------------------------------------------------------------- the loop

  async #tick(tick: number, passMs: number): Promise<void> {
    const server = this.#server;
    this.#machines = await this.#cloud.machines();
    await this.#seatAgents();
    server?.run("place");
    if (tick % PROVISION_EVERY_TICKS === 0) {
      server?.run("provision");
      server?.run("maintain");
    }
    if (tick % BEAT_EVERY_TICKS === 0) server?.beat();
    await this.#time.advanceTo(this.#time.nowMs() + passMs);
    await this.#check(tick);
  }

  async #calm(): Promise<void> {
    this.#isCalm = true;
    this.#cloud.isHonest = true;
    this.#cloud.isOut = false;
    this.#queue.isAway = false;
    this.#isStoreAway = false;
    for (const { offerId, nodeCountMax } of OFFERS) {
      this.#cloud.truth.setCapacity(offerId, nodeCountMax);
    }
    this.#record.event("calm");
    const untilMs = this.#time.nowMs() + CALM_MS_MAX;
    for (let tick = 0; this.#time.nowMs() < untilMs; tick += 1) {
      await this.#tick(tick, TICK_MS);
      if (this.#openInputs() === 0 && (await this.#isEmpty())) return;
    }
    const open = this.#openInputs();
    if (open > 0) this.#record.broken("every accepted input gets a result", `${open} have none`);
    else this.#record.broken("what is not needed is given back", await this.#leftText());
  }

  #openInputs(): number {
    return this.#callChecks.openCount(this.#users.calls);
  }

  /** Whether nothing is rented any more, here or there. */
  async #isEmpty(): Promise<boolean> {
    const isLiving = this.#machines.some(({ state }) => state !== "terminated");
    return !isLiving && (await this.#store.nodes.listOpen()).length === 0;
  }

  async #leftText(): Promise<string> {
    const open = await this.#store.nodes.listOpen();
    const living = this.#machines.filter(({ state }) => state !== "terminated");
    const states = open.map(({ node }) => `${node.nodeId.slice(-3)} ${node.state}`).join(", ");
    return `${living.length} machines, nodes: ${states || "none"}`;
  }

  async #check(tick: number): Promise<void> {
    const server = this.#server;
    if (tick % LEDGER_EVERY_TICKS === 0) await this.#callChecks.look(this.#users.calls);
    await this.#fleetChecks.look(this.#machines);
    this.#fleetChecks.lookAtAgents([...this.#seats.values()].map(({ agent }) => agent));
    if (server?.isOpen !== true) return;
    this.#fleetChecks.lookAtPlacements(
      server,
      (nodeId) => this.#seats.get(nodeId)?.isAlive === true,
    );
    if (server.heldCount > this.#users.inputCount) {
      this.#record.broken("no queue grows without bound", `${server.heldCount} inputs are held`);
    }
    const bound = (this.#users.inputCount + 1) * (this.#lives + 1);
    for (const { name } of FUNCTIONS) {
      const depth = this.#queue.depthOf(`fn_${name}`);
      if (depth > bound) this.#record.broken("no queue grows without bound", `${name}: ${depth}`);
    }
  }

  async #lookBack(): Promise<void> {
    await this.#callChecks.lookBack(this.#users.calls);
    if (this.#hasJumped) return;
    const ends = new Map(this.#machines.map((one) => [one.providerNodeId, one.state]));
    await this.#fleetChecks.lookAtBills(
      this.#machines.filter(({ nodeId }) => nodeId !== undefined),
      ({ providerNodeId }) =>
        ends.get(providerNodeId) === "terminated"
          ? this.#cloud.releasedAtMs.get(providerNodeId)
          : undefined,
      this.#time.nowMs(),
    );
  }

  // ---------------------------------------------------------------- the server

  async #deploy(): Promise<void> {
    const deploying = this.#store.registry.deploy({
      appId: APP,
      workspaceId: WORKSPACE,
      app: "sim",
      mode: "deployed",
      codeSha256: "c0de",
      functions: FUNCTIONS.map(({ name, spec }) => ({ functionId: `fn_${name}`, name, spec })),
      createdAtMs: this.#time.nowMs(),
    });
    await this.#time.settle();
    await deploying;
  }

  #beginLife(): void {
    this.#lives += 1;
    const life = new Lifetime((where) => this.#died(life, where));
    const time = this.#time;
    // The machine's clock is set while the process runs; its own time never runs backwards.
    const nowMs = steadyTime({
      wallMs: () => time.nowMs() + this.#jumpMs,
      monotonicMs: () => time.nowMs(),
    });
    const server = new ServerLife({
      life,
      store: this.#store,
      storeFaultOf: (call) => this.#storeFault(call),
      openQueue: (functionId) => this.#queue.open(functionId, life),
      provider: this.#cloud.desk(),
      providerFaultOf: () => this.#cloud.faultOf(),
      solvers: this.#solvers(),
      clock: { nowMs, sleep: (durationMs, signal) => time.clock().sleep(durationMs, signal) },
      ids: this.#ids,
      policy: SIM_POLICY,
      seed: `server ${this.#lives}`,
      token: this.#lives,
      seams: this.#seams,
      onPlan: (input, plan) => {
        this.#record.count("plans");
        this.#fleetChecks.notePlan(input, plan);
      },
      onStart: (from, nodeId) => {
        this.#record.count("containers");
        this.#fleetChecks.noteStart(from, nodeId);
      },
      onRecorded: (settlement) => this.#callChecks.noteRecorded(settlement),
      onKick: () => this.#kick(),
      onError: (error, doing) => this.#failed(life, error, doing),
    });
    this.#life = life;
    this.#server = server;
    this.#fleetChecks.newServer();
    this.#record.event(`server life ${this.#lives}`);
    server.open().catch((error: unknown) => {
      this.#failed(life, error, "starting");
      life.die(`a failed start: ${String(error)}`);
    });
  }

  #died(life: Lifetime, where: string): void {
    if (this.#life !== life) return;
    this.#record.event(`server died ${where}`);
    this.#record.count("server deaths");
    const links = [...(this.#server?.links.values() ?? [])];
    this.#server = undefined;
    this.#life = undefined;
    for (const link of links) link.cut({ server: false, agent: true });
    const downMs = 500 + this.#misfortune.draw("server crash").below(15_000);
    this.#time.after(downMs, () => this.#beginLife());
  }

  #failed(life: Lifetime, error: unknown, doing: string): void {
    if (life.isDead) return;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#record.event(`${doing}: ${text}`);
    const isBug = error instanceof Error && ["AssertionError", "TypeError"].includes(error.name);
    if (isBug) this.#record.broken("no invariant of the code breaks", `${doing}: ${text}`);
  }

  #kick(): void {
    if (this.#isKicked) return;
    this.#isKicked = true;
    this.#time.after(KICK_MS, () => {
      this.#isKicked = false;
      this.#server?.run("place");
    });
  }

  #lostLock(subject: string): void {
    if (this.#time.nowMs() - this.#queueAwaySinceMs < MS_PER_MINUTE) return;
    this.#record.broken("a living holder keeps its leases", subject);
  }

  #storeFault(call: string): CallFault | undefined {
    if (!this.#isStoreAway || !/^(ledger|calls)\./.test(call)) return undefined;
    const error = new PlatformError("the record store is away", {
      code: "unavailable",
      retryable: true,
    });
    const rng = this.#misfortune.draw("store away");
    if (rng.below(3) === 0) return undefined;
    return { error, when: rng.below(2) === 0 ? "before" : "after" };
  }

  /** Solvers that work, or one that fails in all its ways until calm comes. */
  #solvers(): Solvers {
    if (this.#isCalm || !this.#misfortune.has("bad solver")) return this.#workingSolvers;
    const rng = this.#misfortune.draw("bad solver");
    const { highs } = this.#workingSolvers;
    return {
      highs: {
        name: "highs",
        solve: (model, options) => {
          const kind = this.#isCalm ? 3 : rng.below(4);
          if (kind === 0) return Promise.reject(new Error("the solver broke"));
          if (kind === 1) return Promise.resolve({ status: "infeasible" });
          if (kind === 3 && highs !== undefined) return highs.solve(model, options);
          const values = Float64Array.from(model.cost, () => rng.below(9) - 2);
          return Promise.resolve({ status: "optimal", values, objective: 0, bound: 0 });
        },
      },
    };
  }

  // ---------------------------------------------------------------- machines and agents

  #openCloud(): CloudModel {
    const rng = this.#rng.fork("cloud");
    const lies = this.#misfortune.has("cloud lies");
    const cloud = new CloudModel({
      time: this.#time,
      rng,
      offers: OFFERS,
      noticeMs: 30_000 * (1 + rng.below(4)),
      lies: {
        visibilityMs: lies ? rng.below(3) * 10_000 : 0,
        flickerFraction: lies ? 0.1 : 0,
        staleFraction: lies ? 0.2 : 0,
        wrongStateFraction: lies ? 0.1 : 0,
        failureFraction: lies ? 0.2 : 0,
        forgottenReleaseFraction: lies ? 0.2 : 0,
      },
    });
    cloud.onRent = (request) => {
      this.#record.event(`rent ${request.clientToken} for ${request.nodeIds.length}`);
      this.#record.count("rents");
      void this.#fleetChecks.noteRent(request);
    };
    cloud.onRelease = (ids) => {
      this.#record.event(`release ${ids.join(" ")}`);
      this.#record.count("releases", ids.length);
      this.#checkRelease(ids);
    };
    return cloud;
  }

  /** A machine goes when nothing runs on it, unless it had its time to drain or is lost. */
  #checkRelease(ids: readonly string[]): void {
    const nowMs = this.#server === undefined ? 0 : this.#serverNowMs();
    for (const { agent, machine } of this.#seats.values()) {
      if (!ids.includes(machine.providerNodeId)) continue;
      const record = this.#server?.nodes.get(agent.nodeId);
      if (record === undefined || !agent.isBusy || record.reclaimAtMs !== undefined) continue;
      const { state, stateSinceMs } = record.stored.node;
      const { heartbeatTimeoutMs, drainTimeoutMs } = SIM_POLICY.pool;
      const isSilent = nowMs - (record.lastHeardAtMs ?? 0) >= heartbeatTimeoutMs;
      const isDrained = state === "draining" && nowMs - stateSinceMs >= drainTimeoutMs;
      if (isSilent || isDrained || this.#isReclaimed(machine)) continue;
      this.#record.broken("a node is drained before it is released", agent.nodeId);
    }
  }

  #isReclaimed({ providerNodeId }: ProviderNode): boolean {
    return this.#reclaimed.has(providerNodeId);
  }

  readonly #reclaimed = new Set<string>();

  #serverNowMs(): number {
    return this.#server?.nowMs ?? this.#time.nowMs();
  }

  /** A machine that runs gets an agent; one that is gone loses it. */
  async #seatAgents(): Promise<void> {
    for (const { providerNodeId, deadlineMs } of await this.#cloud.truth.interruptions()) {
      this.#reclaimed.add(providerNodeId);
      for (const { machine, agent } of this.#seats.values()) {
        const isTold = this.#rng.below(4) > 0;
        if (machine.providerNodeId === providerNodeId && isTold) agent.interrupted(deadlineMs);
      }
    }
    const running = new Map(
      this.#machines
        .filter(({ state }) => state === "running")
        .map((machine) => [machine.providerNodeId, machine]),
    );
    for (const [nodeId, seat] of this.#seats) {
      if (running.has(seat.machine.providerNodeId)) continue;
      seat.isAlive = false;
      this.#seats.delete(nodeId);
      seat.agent.crash();
      this.#record.event(`machine ${seat.machine.providerNodeId} is gone`);
    }
    for (const machine of running.values()) this.#seat(machine);
  }

  #seat(machine: ProviderNode): void {
    const { nodeId, providerNodeId, clientToken = "" } = machine;
    if (nodeId === undefined || nodeId.startsWith("lost-") || this.#seats.has(nodeId)) return;
    const gpuCount = Number(this.#offerOf(machine)?.resources.gpuCount ?? 2);
    const resources = { gpuCount, cpuMilli: 8_000 * gpuCount, memoryMiB: 65_536 * gpuCount };
    const agent = new AgentModel({
      nodeId,
      resources,
      time: this.#time,
      rng: this.#rng.fork(`agent ${providerNodeId}`),
      workOf: (name) => this.#workOf(name),
      nextRun: () => (this.#runs += 1),
      onDismissed: (reason) => {
        this.#record.event(`agent of ${nodeId} is sent home: ${reason}`);
        seat.rejections = REJECTIONS_MAX;
      },
    });
    const seat: Seat = {
      agent,
      machine,
      session: undefined,
      rejections: 0,
      isConnecting: false,
      isAlive: true,
    };
    this.#seats.set(nodeId, seat);
    this.#record.event(`machine ${providerNodeId} runs as ${nodeId} of ${clientToken}`);
    this.#connectSoon(seat, 500);
  }

  #offerOf(machine: ProviderNode) {
    const rented = this.#server?.nodes.get(machine.nodeId ?? "")?.stored.node.offerId;
    return OFFERS.find(({ offerId }) => offerId === rented);
  }

  #workOf(name: string): Work {
    const found = FUNCTIONS.find((one) => one.name === name);
    const isBad = !this.#isCalm && this.#misfortune.has("bad containers");
    const chances = {
      failedStartFraction: isBad ? 0.15 : 0,
      crashFraction: isBad ? 0.05 : 0,
    };
    return { startMs: 1_000, runMs: 500, errorFraction: 0, ...found?.work, ...chances };
  }

  #connectSoon(seat: Seat, withinMs: number): void {
    if (seat.isConnecting || !seat.isAlive || seat.rejections >= REJECTIONS_MAX) return;
    seat.isConnecting = true;
    const rng = this.#rng.fork(`connect ${seat.agent.nodeId} ${this.#time.nowMs()}`);
    this.#time.after(50 + rng.below(withinMs), () => {
      seat.isConnecting = false;
      this.#connect(seat);
    });
  }

  #connect(seat: Seat): void {
    const server = this.#server;
    if (!seat.isAlive || seat.agent.link?.isOpenForAgent === true) return;
    if (server?.isOpen !== true) {
      this.#connectSoon(seat, 2_000);
      return;
    }
    const { clientToken = "", providerNodeId } = seat.machine;
    const token = seat.session ?? batchTokenOf(clientToken, JOIN_KEY);
    const batch = seat.session === undefined ? { batch: clientToken } : {};
    server.nodeDesk
      .identify({ authorization: `Bearer ${token}`, machineIds: [providerNodeId], ...batch })
      .then((identity) => {
        if (this.#server !== server || !seat.isAlive) return this.#connectSoon(seat, 2_000);
        if (identity === "later") return this.#connectSoon(seat, 2_000);
        if (identity === undefined) {
          seat.rejections += 1;
          return this.#connectSoon(seat, 2_000);
        }
        seat.rejections = 0;
        seat.session = identity.sessionToken;
        return this.#welcome(seat, server);
      })
      .catch((error: unknown) => {
        this.#record.event(`identifying ${seat.agent.nodeId}: ${String(error)}`);
        this.#connectSoon(seat, 2_000);
      });
  }

  #welcome(seat: Seat, server: ServerLife): void {
    const { agent } = seat;
    const { nodeId } = agent;
    let greeted: Promise<boolean> | undefined;
    const link: LinkModel = new LinkModel({
      nodeId,
      time: this.#time,
      rng: this.#rng.fork(`link ${nodeId} ${this.#time.nowMs()}`),
      serverNowMs: () => this.#serverNowMs(),
      ends: {
        toAgent: (message) => agent.receive(message),
        toServer: (message, body) => {
          if (this.#server !== server) return;
          if (message.type === "hello") {
            greeted = server.nodeDesk.arrived(link, message);
            greeted
              .then((isAccepted) => {
                if (!isAccepted) link.send({ type: "goodbye", reason: "unknown node" });
              })
              .catch((error: unknown) =>
                this.#record.event(`greeting ${nodeId}: ${String(error)}`),
              );
            return;
          }
          void greeted?.then(
            (isAccepted) => {
              if (isAccepted) server.nodeDesk.message(link, message, body);
            },
            () => undefined,
          );
        },
        onServerEnd: () => server.departed(link),
        onAgentEnd: () => this.#connectSoon(seat, 2_000),
      },
    });
    server.connected(link);
    agent.connected(link);
    this.#watchSilence(link);
  }

  /** An agent that hears nothing for long gives its link up. */
  #watchSilence(link: LinkModel): void {
    this.#time.after(10_000, () => {
      if (!link.isOpenForAgent) return;
      if (link.isBroken) link.closeAgent();
      else this.#watchSilence(link);
    });
  }

  // ---------------------------------------------------------------- faults

  #strike(): void {
    const fate = this.#misfortune;
    if (fate.strikes("server crash")) {
      const rng = fate.draw("server crash");
      const when = rng.below(2) === 0 ? "before" : "after";
      this.#life?.crashAt({ step: rng.below(60), when });
    }
    if (fate.strikes("agent crash")) this.#crashAgent();
    if (fate.strikes("link cut")) {
      const rng = fate.draw("link cut");
      const knows = { server: rng.below(2) === 0, agent: rng.below(2) === 0 };
      this.#anyLink(rng)?.cut(knows);
      this.#record.event(`a link is cut, server knows: ${knows.server}, agent: ${knows.agent}`);
    }
    if (fate.strikes("link stall")) {
      const link = this.#anyLink(fate.draw("link stall"));
      const forMs = fate.draw("link stall").below(25_000);
      if (link !== undefined) link.stalledUntilMs = this.#time.nowMs() + forMs;
      this.#record.event(`a link stalls for ${forMs} ms`);
    }
    if (fate.strikes("clock jump")) {
      this.#hasJumped = true;
      this.#jumpMs = (fate.draw("clock jump").below(3) - 1) * JUMP_MS;
      this.#record.event(`the clock is off by ${this.#jumpMs} ms`);
      this.#record.count("clock jumps");
    }
    this.#strikeMarket();
    this.#strikeStores();
    if (fate.strikes("cancel")) this.#users.cancel();
  }

  #strikeMarket(): void {
    const fate = this.#misfortune;
    if (fate.strikes("cloud outage")) {
      this.#cloud.isOut = true;
      this.#record.event("the cloud does not answer");
      this.#time.after(fate.draw("cloud outage").below(30_000), () => (this.#cloud.isOut = false));
    }
    if (fate.strikes("shortage")) {
      const rng = fate.draw("shortage");
      for (const { offerId } of OFFERS) this.#cloud.truth.setCapacity(offerId, rng.below(4));
      this.#record.event("the market is short");
    }
    if (fate.strikes("reclaim storm")) {
      const rng = fate.draw("reclaim storm");
      for (const { providerNodeId, state } of this.#machines) {
        if (state === "terminated" || rng.below(2) === 0) continue;
        this.#cloud.truth.reclaim(providerNodeId);
        this.#record.event(`reclaim ${providerNodeId}`);
        this.#record.count("reclaims");
      }
    }
    if (fate.strikes("stray machine")) {
      this.#strays += 1;
      const nodeId = `lost-${this.#strays}`;
      this.#record.event(`a process that is gone rents ${nodeId}`);
      const [offer] = OFFERS;
      if (offer === undefined) return;
      const tags = { "flotilla:cluster": CLUSTER };
      const rent = { offers: [offer], nodeIds: [nodeId], clientToken: nodeId, userData: "", tags };
      void this.#cloud.truth.rent(rent);
    }
  }

  #strikeStores(): void {
    const fate = this.#misfortune;
    if (fate.strikes("queue away")) {
      this.#queue.isAway = true;
      this.#queueAwaySinceMs = this.#time.nowMs();
      this.#record.event("Redis is out of reach");
      this.#time.after(fate.draw("queue away").below(20_000), () => (this.#queue.isAway = false));
    }
    if (fate.strikes("queue lost")) {
      this.#queue.lose();
      this.#record.event("Redis has lost everything");
      this.#record.count("queue losses");
    }
    if (fate.strikes("store away")) {
      this.#isStoreAway = true;
      this.#record.event("the record store is away");
      this.#time.after(fate.draw("store away").below(8_000), () => (this.#isStoreAway = false));
    }
  }

  #crashAgent(): void {
    const rng = this.#misfortune.draw("agent crash");
    const seats = [...this.#seats.values()];
    const seat = seats[rng.below(Math.max(1, seats.length))];
    if (seat === undefined) return;
    this.#record.event(`agent of ${seat.agent.nodeId} dies`);
    this.#record.count("agent deaths");
    seat.agent.crash();
  }

  #anyLink(rng: Rng): LinkModel | undefined {
    const links = [...(this.#server?.links.values() ?? [])];
    return links[rng.below(Math.max(1, links.length))];
  }
}
