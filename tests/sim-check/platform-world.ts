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
import { steadyTime } from "../../server/steady-time.ts";
import { openRecordStore } from "../../server/store/sqlite/open.ts";
import type { RecordStore } from "../../server/store/record-store.ts";
import type { Work } from "./agent-model.ts";
import { CallChecks } from "./call-checks.ts";
import { CloudModel } from "./cloud-model.ts";
import { FleetChecks } from "./fleet-checks.ts";
import { Lifetime, type CallFault } from "./lifetime.ts";
import { FUNCTIONS, OFFERS, SIM_POLICY } from "./market-model.ts";
import { Misfortune } from "./misfortune.ts";
import { QueueModel, type LostLock } from "./queue-model.ts";
import { RunRecord, type RunResult } from "./record.ts";
import { Seats } from "./seats.ts";
import { ServerLife, WORKSPACE, type Seams, type Solvers } from "./server-life.ts";
import { Strikes } from "./strikes.ts";
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
const APP = "ap_sim";

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
  readonly #seats: Seats;
  readonly #strikes: Strikes;
  readonly #seams: Seams;
  readonly #workingSolvers: Solvers;
  #server: ServerLife | undefined;
  #life: Lifetime | undefined;
  #lives = 0;
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
      onLostLock: (lost) => this.#lostLock(lost),
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
    this.#seats = new Seats({
      time: this.#time,
      rng: this.#rng.fork("agents"),
      record: this.#record,
      cloud: this.#cloud,
      server: () => this.#server,
      workOf: (name) => this.#workOf(name),
    });
    this.#strikes = new Strikes({
      fate: this.#misfortune,
      time: this.#time,
      record: this.#record,
      cloud: this.#cloud,
      queue: this.#queue,
      users: this.#users,
      life: () => this.#life,
      server: () => this.#server,
      links: () => [...(this.#server?.links.values() ?? [])],
      agents: () => this.#seats.agents,
      machines: () => this.#machines,
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
        this.#strikes.strike();
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
    await this.#seats.look(this.#machines);
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
    this.#strikes.end();
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
    this.#fleetChecks.lookAtAgents(this.#seats.agents);
    if (server?.isOpen !== true) return;
    this.#fleetChecks.lookAtPlacements(server, (nodeId) => this.#seats.isAlive(nodeId));
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
    if (this.#strikes.hasJumped) return;
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
      wallMs: () => time.nowMs() + this.#strikes.jumpMs,
      monotonicMs: () => time.nowMs(),
    });
    const server = new ServerLife({
      life,
      store: this.#store,
      storeFaultOf: (call) => this.#storeFault(call),
      openQueue: (functionId) => this.#queue.open(functionId, life),
      provider: this.#cloud.desk(),
      providerFaultOf: () => this.#cloud.faultOf(),
      solvers: () => this.#solvers(),
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

  #lostLock({ functionId, range, endedAtMs }: LostLock): void {
    if (endedAtMs - this.#strikes.queueAwaySinceMs < MS_PER_MINUTE) return;
    this.#record.broken("a living holder keeps its leases", `${functionId} ${range.callId}`);
  }

  #storeFault(call: string): CallFault | undefined {
    if (!this.#strikes.isStoreAway || !/^(ledger|calls)\./.test(call)) return undefined;
    const error = new PlatformError("the record store is away", {
      code: "unavailable",
      retryable: true,
    });
    const rng = this.#misfortune.draw("store away");
    if (rng.below(3) === 0) return undefined;
    return { error, when: rng.below(2) === 0 ? "before" : "after" };
  }

  /** Until calm comes: none in most runs, which is fast, and else one that works or fails. */
  #solvers(): Solvers {
    const isWithout = this.#rng.fork("solver").below(3) > 0;
    if (!this.#isCalm && isWithout) return {};
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
      this.#seats.checkRelease(ids);
    };
    return cloud;
  }

  #workOf(name: string): Work {
    const found = FUNCTIONS.find((one) => one.name === name);
    const isBad = !this.#isCalm && this.#misfortune.has("bad containers");
    const chances = { failedStartFraction: isBad ? 0.15 : 0, crashFraction: isBad ? 0.05 : 0 };
    return { startMs: 1_000, runMs: 500, errorFraction: 0, ...found?.work, ...chances };
  }
}
