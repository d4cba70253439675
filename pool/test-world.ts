/** A fake cloud with agents, a ledger and controllers that can be killed, for tests. */
import {
  countingIds,
  createRng,
  DEFAULT_POOL_POLICY,
  type PlatformError,
  type CloudName,
  type Offer,
  type PlacedContainer,
  type PoolPolicy,
  type Rng,
} from "../core/index.ts";
import {
  createFakeProvider,
  createManualClock,
  type FakeProvider,
  type ManualClock,
} from "../providers/fake/index.ts";
import type { NodeListing, Provider, ProviderNode } from "../providers/index.ts";
import { PoolController, type PoolTick } from "./controller.ts";
import type { AgentSighting, DesiredLine, PoolEvent, PoolFacts } from "./ports.ts";
import { memoryLedger, testOffer, type MemoryLedger } from "./test-pool.ts";

export const CLUSTER = "test-cluster";

/** The end of a process; nothing it does afterwards has any effect. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** At which call of the ledger or the provider, counted from now, the process dies. */
export interface CrashPoint {
  readonly step: number;
  readonly when: "before" | "after";
}

/** A failure of one call; `after` loses the answer of a call that took effect. */
export interface CallFault {
  readonly error: PlatformError;
  readonly when: "before" | "after";
}

export interface WorldOptions {
  readonly seed?: number | string;
  readonly offers?: readonly Offer[];
  readonly visibilityMs?: number;
  readonly quotaLimits?: Readonly<Record<string, number>>;
  /** Chance that a listing leaves out a machine that is younger than a minute, 0..1. */
  readonly flickerFraction?: number;
  /** Machines of batches do not say whose they are, as on EC2. */
  readonly nameless?: boolean;
  readonly policy?: Partial<PoolPolicy>;
}

/** The world of one test; a controller that is killed is followed by a new one. */
export class TestWorld {
  readonly clock: ManualClock = createManualClock(1_000_000);
  readonly ledger: MemoryLedger = memoryLedger();
  readonly events: PoolEvent[] = [];
  readonly containers: PlacedContainer[] = [];
  /** Nodes whose agents have stopped talking. */
  readonly mute = new Set<string>();
  /** Whether no agent talks at all. */
  muteAll = false;
  /** Reclaims that machines were told of themselves, by node id. */
  readonly toldReclaims = new Map<string, number>();
  /** Since when machines have been told that they may be taken back, by node id. */
  readonly toldRisks = new Map<string, number>();
  /** What agents' checks found broken, by node id. */
  readonly faults = new Map<string, readonly string[]>();
  /** Machines that no listing has, as if their tags were gone. */
  readonly untagged = new Set<string>();
  /** When each machine was first asked to be released, by provider id. */
  readonly endedAtMs = new Map<string, number>();
  /** Where the lives so far have ended: the name of the last call. */
  readonly deaths: string[] = [];
  /** How a call of the provider by the pool fails, if it does; asked at every such call. */
  fault: (call: string) => CallFault | undefined = () => undefined;
  /** Requests made of the provider so far. */
  rentCallCount = 0;
  readonly provider: FakeProvider;
  readonly #ids = countingIds();
  readonly #offers: readonly Offer[];
  readonly #policy: PoolPolicy;
  readonly #nameless: boolean;
  readonly #flickerFraction: number;
  readonly #flicker: Rng;
  #jumpMs = 0;
  readonly #emptySinceMs = new Map<string, number>();
  #crash: CrashPoint | undefined;
  #steps = 0;
  #controller: PoolController;
  #isNewborn = false;

  constructor(options: WorldOptions = {}) {
    const { seed = 1, offers = [testOffer()], visibilityMs = 0, policy } = options;
    const { quotaLimits = {}, nameless = false, flickerFraction = 0 } = options;
    this.#nameless = nameless;
    this.#flickerFraction = flickerFraction;
    this.#flicker = createRng(`flicker ${seed}`);
    this.#offers = offers;
    this.#policy = { ...DEFAULT_POOL_POLICY, ...policy };
    const rng = createRng(seed);
    this.provider = createFakeProvider({
      clock: this.clock,
      rng,
      offers,
      visibilityMs,
      quotaLimits,
    });
    this.#controller = this.#newLife();
  }

  get refusals(): PoolController["refusals"] {
    return this.#controller.refusals;
  }

  /** What the next plan may use of the offers of this world. */
  openOffers(): readonly Offer[] {
    return this.#controller.openOffers(this.#offers);
  }

  /** Sets the clock of the pool forward or back; the cloud's own goes on as before. */
  jump(byMs: number): void {
    this.#jumpMs += byMs;
  }

  /** The process is followed by another one, which knows nothing but the ledger. */
  restart(): void {
    this.#controller = this.#newLife();
    this.#isNewborn = true;
  }

  /** The present life ends at this point. */
  crashAt(point: CrashPoint): void {
    this.#crash = point;
    this.#steps = 0;
  }

  /** Machines that cost money. */
  live(): Promise<readonly ProviderNode[]> {
    const machines = this.provider.machines();
    return Promise.resolve(machines.filter(({ state }) => state !== "terminated"));
  }

  /** One tick, then some time; gives nothing when the process died in it. */
  async tick(
    desired: readonly DesiredLine[] | undefined,
    passMs = 5_000,
  ): Promise<PoolTick | undefined> {
    try {
      if (this.#isNewborn) await this.#controller.recall();
      this.#isNewborn = false;
      return await this.#controller.tick(desired, await this.#facts());
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.restart();
      return undefined;
    } finally {
      await this.clock.advance(passMs);
    }
  }

  async #facts(): Promise<PoolFacts> {
    const nowMs = this.#now();
    const agents = new Map<string, AgentSighting>();
    for (const { nodeId = "", state } of await this.live()) {
      if (state !== "running" || this.muteAll || this.mute.has(nodeId)) continue;
      const reclaimAtMs = this.toldReclaims.get(nodeId);
      const notice = reclaimAtMs === undefined ? {} : { reclaimAtMs };
      const riskSinceMs = this.toldRisks.get(nodeId);
      const risk = riskSinceMs === undefined ? {} : { riskSinceMs };
      const faults = this.faults.get(nodeId) ?? [];
      agents.set(nodeId, { lastHeardAtMs: nowMs, faults, ...notice, ...risk });
      this.#emptySinceMs.set(nodeId, this.#emptySinceMs.get(nodeId) ?? nowMs);
    }
    return {
      offers: this.#offers,
      containers: this.containers,
      agents,
      emptySinceMs: this.#emptySinceMs,
    };
  }

  #newLife(): PoolController {
    const life: Life = { dead: false };
    const run = <T>(name: string, call: () => Promise<T>): Promise<T> =>
      this.#step(life, name, call);
    const provider: Provider = {
      cloud: this.provider.cloud,
      listOffers: () => this.provider.listOffers(),
      interruptions: () => this.provider.interruptions(),
      close: () => this.provider.close(),
      listNodes: () => run("listNodes", () => this.#failing("listNodes", () => this.#listNodes())),
      rent: (request) => {
        this.rentCallCount += 1;
        return run("rent", () => this.#failing("rent", () => this.provider.rent(request)));
      },
      release: (ids) => run("release", () => this.#failing("release", () => this.#release(ids))),
    };
    return new PoolController({
      providers: new Map<CloudName, Provider>([["fake", provider]]),
      ledger: {
        get: (nodeId) => run("get", () => this.ledger.get(nodeId)),
        listOpen: () => run("listOpen", () => this.ledger.listOpen()),
        put: (records) =>
          run(`put ${records[0]?.node.state ?? "nothing"}`, () => this.ledger.put(records)),
        findByMachine: (traces) => this.ledger.findByMachine(traces),
        note: (changes) => run("note", () => this.ledger.note(changes)),
        recall: () => this.ledger.recall(),
      },
      clock: {
        nowMs: () => this.#now(),
        sleep: (durationMs, signal) => this.clock.sleep(durationMs, signal),
      },
      ids: this.#ids,
      policy: this.#policy,
      clusterId: CLUSTER,
      owner: "ws_test",
      userDataFor: ({ clientToken }) => `boot ${clientToken}`,
      onEvent: (event) => this.events.push(event),
    });
  }

  async #listNodes(): Promise<NodeListing> {
    const { nodes: all, unseen } = await this.provider.listNodes();
    const nodes = all.filter(({ providerNodeId, launchedAtMs }) => {
      if (this.untagged.has(providerNodeId)) return false;
      if (this.clock.nowMs() - launchedAtMs >= 60_000) return true;
      return this.#flicker.next() >= this.#flickerFraction;
    });
    if (!this.#nameless) return { nodes, unseen };
    const sizes = Map.groupBy(nodes, ({ clientToken }) => clientToken);
    const shown = nodes.map((node) => {
      const { providerNodeId, clientToken = "", state, launchedAtMs, tags } = node;
      const isAlone = sizes.get(node.clientToken)?.length === 1;
      return isAlone ? node : { providerNodeId, clientToken, state, launchedAtMs, tags };
    });
    return { nodes: shown, unseen };
  }

  #now(): number {
    return this.clock.nowMs() + this.#jumpMs;
  }

  async #failing<T>(name: string, call: () => Promise<T>): Promise<T> {
    const fault = this.fault(name);
    if (fault?.when === "before") throw fault.error;
    const answer = await call();
    if (fault !== undefined) throw fault.error;
    return answer;
  }

  #release(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.endedAtMs.set(id, this.endedAtMs.get(id) ?? this.clock.nowMs());
    }
    return this.provider.release(ids);
  }

  async #step<T>(life: Life, name: string, call: () => Promise<T>): Promise<T> {
    if (life.dead) throw new Crash("dead");
    const crash = this.#crash?.step === this.#steps ? this.#crash : undefined;
    this.#steps += 1;
    if (crash !== undefined) {
      life.dead = true;
      this.#crash = undefined;
      this.deaths.push(`${crash.when} ${name}`);
    }
    if (crash?.when === "before") throw new Crash(`died before ${name}`);
    const answer = await call();
    if (crash !== undefined) throw new Crash(`died after ${name}`);
    return answer;
  }
}

/** One process; a dead one has no effect any more. */
interface Life {
  dead: boolean;
}

/** A plan line. */
export function lineOf(offer: Offer, count: number): DesiredLine {
  return { offerId: offer.offerId, count, reason: "demand" };
}
