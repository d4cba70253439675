/** A cloud with agents, a ledger and controllers that can be killed, for tests. */
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
import { PoolController } from "./controller.ts";
import type { PoolTick } from "./pool-tick.ts";
import type { AgentSighting, DesiredLine, PoolEvent, PoolFacts } from "./ports.ts";
import { memoryLedger, testOffer, type MemoryLedger } from "./test-pool.ts";

export const CLUSTER = "test-cluster";

/** The end of a process; nothing it does afterwards has any effect. */
export class Crash extends Error {
  override readonly name = "Crash";
}

/** At which call of the ledger or the provider, counted from now, the process dies. */
export interface StepPoint {
  readonly step: number;
  readonly when: "before" | "after";
}

/** Where the process dies: by a number, or at the first call of a name, such as `put draining`. */
export type CrashPoint = StepPoint | { readonly call: string; readonly when: "before" | "after" };

/** A failure of one call; `after` loses the answer of a call that took effect. */
export interface CallFault {
  readonly error: PlatformError;
  readonly when: "before" | "after";
}

/** The cloud of a world: a provider, and what a test sees of it beside. */
export interface WorldCloud {
  readonly clock: ManualClock;
  readonly provider: Provider;
  readonly offers: readonly Offer[];
  /** Tag value on its machines. */
  readonly clusterId: string;
  /** Time that passes after each tick. */
  readonly tickMs: number;
  /** What a listing would show if nothing were out of reach; it never fails. */
  readonly machines: () => readonly ProviderNode[];
  /** Lets time pass while a call waits for the cloud. */
  readonly passingTime: <T>(work: Promise<T>) => Promise<T>;
}

/** A world of the fake cloud. */
export interface WorldOptions extends LifeOptions {
  readonly offers?: readonly Offer[];
  readonly visibilityMs?: number;
  readonly quotaLimits?: Readonly<Record<string, number>>;
}

/** What is so of a world, whatever its cloud. */
export interface LifeOptions {
  readonly seed?: number | string;
  /** Chance that a listing leaves out a machine that is younger than a minute, 0..1. */
  readonly flickerFraction?: number;
  /** Machines of batches do not say whose they are, as on EC2. */
  readonly nameless?: boolean;
  readonly policy?: Partial<PoolPolicy>;
}

/** The world of one test on any cloud; a controller that is killed is followed by a new one. */
export class CloudWorld {
  readonly clock: ManualClock;
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
  readonly provider: Provider;
  readonly clusterId: string;
  readonly #cloud: WorldCloud;
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

  constructor(cloud: WorldCloud, options: LifeOptions = {}) {
    const { seed = 1, policy, nameless = false, flickerFraction = 0 } = options;
    this.#cloud = cloud;
    this.clock = cloud.clock;
    this.provider = cloud.provider;
    this.clusterId = cloud.clusterId;
    this.#nameless = nameless;
    this.#flickerFraction = flickerFraction;
    this.#flicker = createRng(`flicker ${seed}`);
    this.#offers = cloud.offers;
    this.#policy = { ...DEFAULT_POOL_POLICY, ...policy };
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

  /** The end of a call that waits for the cloud, with the time that it takes. */
  settled<T>(work: Promise<T>): Promise<T> {
    return this.#cloud.passingTime(work);
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
    const machines = this.#cloud.machines();
    return Promise.resolve(machines.filter(({ state }) => state !== "terminated"));
  }

  /** One tick, then some time; gives nothing when the process died in it. */
  async tick(
    desired: readonly DesiredLine[] | undefined,
    passMs = this.#cloud.tickMs,
  ): Promise<PoolTick | undefined> {
    try {
      if (this.#isNewborn) await this.#controller.recall();
      this.#isNewborn = false;
      const facts = await this.#facts();
      return await this.#cloud.passingTime(this.#controller.tick(desired, facts));
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
    const known = new Map(
      this.ledger.all().map(({ node }) => [node.providerNodeId, node.nodeId] as const),
    );
    for (const { nodeId: named, providerNodeId, state } of await this.live()) {
      // A machine of a batch that does not say whose it is joins when its node is known.
      const nodeId = named ?? known.get(providerNodeId);
      if (nodeId === undefined) continue;
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
      providers: new Map<CloudName, Provider>([[provider.cloud, provider]]),
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
      clusterId: this.clusterId,
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
    const isDue = this.#crash !== undefined && isAt(this.#crash, this.#steps, name);
    const crash = isDue ? this.#crash : undefined;
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

/** The world of one test on the fake cloud. */
export class TestWorld extends CloudWorld {
  declare readonly provider: FakeProvider;

  constructor(options: WorldOptions = {}) {
    const { seed = 1, offers = [testOffer()], visibilityMs = 0, quotaLimits = {} } = options;
    const clock = createManualClock(1_000_000);
    const rng = createRng(seed);
    const provider = createFakeProvider({ clock, rng, offers, visibilityMs, quotaLimits });
    const cloud: WorldCloud = {
      ...{ clock, provider, offers, clusterId: CLUSTER, tickMs: 5_000 },
      machines: () => provider.machines(),
      passingTime: (work) => work,
    };
    super(cloud, options);
  }
}

function isAt(point: CrashPoint, step: number, name: string): boolean {
  return "step" in point ? point.step === step : point.call === name;
}

/** One process; a dead one has no effect any more. */
interface Life {
  dead: boolean;
}

/** A plan line. */
export function lineOf(offer: Offer, count: number): DesiredLine {
  return { offerId: offer.offerId, count, reason: "demand" };
}
