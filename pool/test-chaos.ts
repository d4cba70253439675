/**
 * Runs in which processes die and clouds misbehave, with checkers; the same seed is the same run.
 *
 * What they look for: a machine that nobody owns, two machines where one was wanted, and a bill
 * that goes on after a release. They report findings instead of failing, so that tests and the
 * benchmark can both use them.
 */
import { createRng, MS_PER_MINUTE, PlatformError, type Offer, type Rng } from "../core/index.ts";
import type { ProviderNode } from "../providers/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import { STRAY_GRACE_MS } from "./reconcile.ts";
import { isUnborn } from "./snapshot.ts";
import type { DesiredLine, PoolRecord } from "./ports.ts";
import { testOffer } from "./test-pool.ts";
import {
  lineOf,
  TestWorld,
  type CallFault,
  type CloudWorld,
  type CrashPoint,
} from "./test-world.ts";

/** What a run found, and where its processes died. */
export interface ChaosFindings {
  /** Machines without an owner after a sweep. */
  readonly leaks: readonly string[];
  readonly doubleLaunches: readonly string[];
  readonly billedAfterRelease: readonly string[];
  /** Ends that the run should have reached and did not. */
  readonly unsettled: readonly string[];
  readonly deaths: readonly string[];
}

/** Ticks of a sweep: past the grace of strays, with listings that lag behind. */
const SWEEP_TICKS = 20;
/** A release whose answer was lost is known from a listing two ticks later. */
const BILL_TOLERANCE_MS = 10_000;

const offer = testOffer();

/**
 * Rents some machines and gives them back; the process is killed once in each half, before or
 * after one of its calls, with lost answers and slow listings besides.
 */
export async function crashRun(seed: number): Promise<ChaosFindings> {
  const rng = createRng(`crash ${seed}`);
  const count = 1 + rng.below(4);
  const visibilityMs = rng.below(3) * 20_000;
  const nameless = rng.below(2) === 0;
  const world = new TestWorld({ seed, visibilityMs, nameless, policy: CRASH_POLICY });
  return crashRunIn(world, { offer, count, rng });
}

/** Soon given up, so that the process can die at that, too. */
export const CRASH_POLICY = { idleReleaseMs: 5_000 };

/** What is rented and given back in a run of crashes, and the chance that it takes. */
export interface CrashPlan {
  readonly offer: Offer;
  readonly count: number;
  readonly rng: Rng;
  /** Where the process dies in the half that rents and in the one that gives back; else by chance. */
  readonly points?: readonly [CrashPoint, CrashPoint];
  /** How long after a release the bill may go on; two looks when absent. */
  readonly billToleranceMs?: number;
}

/** A crash run in any world, which is to have `CRASH_POLICY`. */
export async function crashRunIn(world: CloudWorld, plan: CrashPlan): Promise<ChaosFindings> {
  const { offer, count, rng, points, billToleranceMs = BILL_TOLERANCE_MS } = plan;
  const found = new Findings(world);
  const half = async (wanted: number, tickCount: number, point?: CrashPoint): Promise<void> => {
    const when = (): CrashPoint["when"] => (rng.below(2) === 0 ? "before" : "after");
    world.crashAt(point ?? { step: rng.below(30), when: when() });
    for (let done = 0; done < tickCount; done += 1) {
      world.fault = rng.below(20) === 0 ? once(faultOf(rng)) : noFault;
      await found.tick(wanted === 0 ? [] : [lineOf(offer, wanted)], wanted);
      world.fault = noFault;
    }
    await found.sweep(wanted === 0 ? [] : [lineOf(offer, wanted)], wanted);
    const alive = (await world.live()).length;
    if (alive !== wanted) found.unsettled.push(`${alive} machines where ${wanted} are wanted`);
  };
  if (rng.below(2) === 0) await leak(world, offer, "lost-by-another-process");
  await half(count, 30, points?.[0]);
  await half(0, 45, points?.[1]);
  found.checkBills(billToleranceMs);
  return found;
}

const HOUR_TICKS = 720;
/** Bad and good minutes follow each other. */
const WAVE_COUNT = 12;
/** Time after which all must be as planned when the faults have ended. */
const CALM_TICKS = 600;
const REGIONS = ["r1", "r2"];
const JUMP_MS = 5 * MS_PER_MINUTE;

/**
 * An hour of a fleet of up to 40 machines by six offers in two regions: demand that changes,
 * waves of shortage, 30 % failing calls, storms of reclaims, clocks that jump by five minutes,
 * regions that go out of reach, machines that nobody knows of and processes that die; then calm.
 */
export async function chaosHour(seed: number): Promise<ChaosFindings> {
  const rng = createRng(`chaos ${seed}`);
  const offers = marketOf();
  const world = new TestWorld({
    seed: `chaos ${seed}`,
    offers,
    visibilityMs: 10_000,
    flickerFraction: 0.1,
    nameless: true,
  });
  const { provider } = world;
  return chaosIn(world, {
    ...{ rng, offers, machineCountMax: 40, hourTicks: HOUR_TICKS, calmTicks: CALM_TICKS },
    knobs: {
      setCapacity: ({ offerId }, count) => provider.setCapacity(offerId, count),
      setRegionDown: (region, isDown) => provider.setRegionDown(region, isDown),
      reclaim: (providerNodeId) => provider.reclaim(providerNodeId),
      setErrors: (fraction) => {
        world.fault = () => (rng.next() < fraction ? faultOf(rng) : undefined);
      },
    },
  });
}

/** What can be done to a cloud. */
export interface ChaosKnobs {
  /** At most so many machines of an offer at once. */
  setCapacity(offer: Offer, count: number): void;
  setRegionDown(region: string, isDown: boolean): void;
  reclaim(providerNodeId: string): void;
  /** Such a share of the calls fails from now on, some of them after they took effect. */
  setErrors(fraction: number): void;
}

/** An hour of chaos and the calm after it. */
export interface ChaosPlan {
  readonly rng: Rng;
  /** Of regions that may go out of reach. */
  readonly offers: readonly Offer[];
  /** Fewer machines than this are wanted. */
  readonly machineCountMax: number;
  readonly hourTicks: number;
  readonly calmTicks: number;
  readonly knobs: ChaosKnobs;
}

/** An hour of chaos in any world. */
export async function chaosIn(world: CloudWorld, plan: ChaosPlan): Promise<ChaosFindings> {
  const { rng, offers, knobs, machineCountMax } = plan;
  const found = new Findings(world);
  let lines: readonly DesiredLine[] = [];
  let wanted = 0;
  knobs.setErrors(0.3);
  for (let tick = 0; tick < plan.hourTicks; tick += 1) {
    if (tick % (plan.hourTicks / WAVE_COUNT) === 0) {
      wanted = rng.below(machineCountMax);
      lines = planOf(offers, wanted, rng);
      for (const one of offers) knobs.setCapacity(one, rng.below(3) * (machineCountMax / 2));
    }
    await misfortune(world, plan, tick);
    await found.tick(lines, wanted);
  }
  knobs.setErrors(0);
  for (const region of regionsOf(offers)) knobs.setRegionDown(region, false);
  for (const one of offers) knobs.setCapacity(one, 1_000);
  for (let tick = 0; tick < plan.calmTicks; tick += 1) await found.tick(lines, wanted);
  await found.sweep(lines, wanted);
  const present = (await world.ledger.listOpen()).filter(({ node }) => node.state === "healthy");
  if (present.length !== wanted) {
    found.unsettled.push(`${present.length} healthy nodes where ${wanted} are wanted`);
  }
  return found;
}

function regionsOf(offers: readonly Offer[]): readonly string[] {
  return [...new Set(offers.map(({ region }) => region))];
}

/** What else may happen at a tick: reclaims, a machine that nobody knows of, a jump, a death. */
async function misfortune(
  world: CloudWorld,
  { rng, offers, knobs, hourTicks }: ChaosPlan,
  tick: number,
): Promise<void> {
  const [first] = offers;
  // As often in an hour, however many ticks it has.
  const perTicks = (count: number): number => Math.ceil((count * hourTicks) / HOUR_TICKS);
  if (rng.below(perTicks(150)) === 0) await reclaimHalf(world, rng, knobs);
  if (rng.below(perTicks(100)) === 0 && first !== undefined) {
    await leak(world, first, `lost-${tick}`).catch(ignoreFailure);
  }
  const reach = rng.fork(`reach ${tick}`);
  for (const region of regionsOf(offers)) {
    if (reach.below(perTicks(60)) === 0) knobs.setRegionDown(region, reach.below(2) === 0);
  }
  if (rng.below(perTicks(200)) === 0) world.jump(rng.below(2) === 0 ? JUMP_MS : -JUMP_MS);
  if (rng.below(perTicks(40)) !== 0) return;
  world.crashAt({ step: rng.below(20), when: rng.below(2) === 0 ? "before" : "after" });
}

/** A machine that cannot be had now is not leaked now. */
function ignoreFailure(error: unknown): void {
  if (!(error instanceof PlatformError)) throw error;
}

function marketOf(): readonly Offer[] {
  return REGIONS.flatMap((region) =>
    ["h100", "h100b", "h100c"].map((instanceType, index) =>
      testOffer(instanceType, {
        region,
        quotaGroups: [`fake/${region}/h/on-demand`],
        priceMicroUsdPerHour: 20_000_000 + index * 1_000_000,
        bootMs: 20_000 + index * 10_000,
      }),
    ),
  );
}

/** Lines for so many nodes by two of the offers. */
function planOf(offers: readonly Offer[], wanted: number, rng: Rng): readonly DesiredLine[] {
  const first = rng.below(offers.length);
  const second = (first + 1 + rng.below(offers.length - 1)) % offers.length;
  const firstCount = rng.below(wanted + 1);
  const [{ purchase } = { purchase: "on-demand" as const }] = offers;
  const standIns = { purchases: [purchase] };
  return [
    { index: first, count: firstCount },
    { index: second, count: wanted - firstCount },
  ].flatMap(({ index, count }) => {
    const chosen = offers[index];
    return chosen === undefined || count === 0 ? [] : [{ ...lineOf(chosen, count), standIns }];
  });
}

async function reclaimHalf(world: CloudWorld, rng: Rng, knobs: ChaosKnobs): Promise<void> {
  for (const { providerNodeId } of await world.live()) {
    if (rng.below(2) === 0) knobs.reclaim(providerNodeId);
  }
}

/** A machine of this cluster that no record will ever know of, where it can be had. */
async function leak(world: CloudWorld, { offerId, region }: Offer, nodeId: string): Promise<void> {
  const { unseen } = await world.settled(world.provider.listNodes());
  if (unseen.some((place) => place.region === region)) return;
  const offers = (await world.settled(world.provider.listOffers())).filter(
    (one) => one.offerId === offerId,
  );
  const request = { offers, nodeIds: [nodeId], clientToken: nodeId, userData: "" };
  await world.settled(
    world.provider.rent({ ...request, tags: { [CLUSTER_TAG]: world.clusterId } }),
  );
}

const noFault = (): undefined => undefined;

function once(fault: CallFault): (call: string) => CallFault | undefined {
  let isSpent = false;
  return (call) => {
    if (isSpent || call !== "rent") return undefined;
    isSpent = true;
    return fault;
  };
}

function faultOf(rng: Rng): CallFault {
  const code = rng.below(3) === 0 ? "rate_limited" : "unavailable";
  const error = new PlatformError(`the cloud says ${code}`, { code, retryable: true });
  // A throttled call has had no effect.
  const isBefore = code === "rate_limited" || rng.below(2) === 0;
  return { error, when: isBefore ? "before" : "after" };
}

/** The checkers of one run. */
class Findings implements ChaosFindings {
  readonly leaks: string[] = [];
  readonly doubleLaunches: string[] = [];
  readonly billedAfterRelease: string[] = [];
  readonly unsettled: string[] = [];
  readonly #world: CloudWorld;
  #presentBefore = 0;

  constructor(world: CloudWorld) {
    this.#world = world;
  }

  get deaths(): readonly string[] {
    return this.#world.deaths;
  }

  /** One tick with all checks that hold at any moment. */
  async tick(lines: readonly DesiredLine[], wanted: number): Promise<void> {
    await this.#world.tick(lines);
    const machines = await this.#world.live();
    const byNode = Map.groupBy(machines, ({ nodeId }) => nodeId);
    for (const [nodeId, own] of byNode) {
      if (nodeId !== undefined && own.length > 1)
        this.doubleLaunches.push(`${own.length} machines of ${nodeId}`);
    }
    this.#checkBatches(machines);
    const open = await this.#world.ledger.listOpen();
    const present = open.filter(isPresent).length;
    // Rents never lead beyond the plan; what is there already may be more for a while.
    const allowed = Math.max(wanted + replacedCount(open, lines), this.#presentBefore);
    if (present > allowed) this.doubleLaunches.push(`${present} nodes where ${wanted} are wanted`);
    this.#presentBefore = present;
  }

  /** No batch ever has more machines than nodes, whether or not they say which is whose. */
  #checkBatches(machines: readonly ProviderNode[]): void {
    const nodes = Map.groupBy(this.#world.ledger.all(), ({ clientToken }) => clientToken);
    for (const [token = "", own] of Map.groupBy(machines, ({ clientToken }) => clientToken)) {
      const nodeCount = nodes.get(token)?.length ?? own.length;
      if (own.length <= nodeCount) continue;
      this.doubleLaunches.push(`${own.length} machines of the ${nodeCount} nodes of ${token}`);
    }
  }

  /** Ticks past the grace of strays; then every living machine has an owner. */
  async sweep(lines: readonly DesiredLine[], wanted: number): Promise<void> {
    const ticks = SWEEP_TICKS + STRAY_GRACE_MS / 5_000;
    for (let done = 0; done < ticks; done += 1) await this.tick(lines, wanted);
    const open = await this.#world.ledger.listOpen();
    const owned = new Set(open.map(({ node }) => node.providerNodeId));
    for (const { providerNodeId } of await this.#world.live()) {
      if (!owned.has(providerNodeId)) this.leaks.push(`machine ${providerNodeId} has no owner`);
    }
  }

  /** Bills of a run whose clock never jumped end with the first release that was asked for. */
  checkBills(toleranceMs: number): void {
    for (const { node, terminatedAtMs, launchedAtMs } of this.#world.ledger.all()) {
      const endedAtMs = this.#world.endedAtMs.get(node.providerNodeId ?? "");
      if (launchedAtMs === undefined || endedAtMs === undefined) continue;
      if ((terminatedAtMs ?? Infinity) - endedAtMs <= toleranceMs) continue;
      this.billedAfterRelease.push(`${node.nodeId} until ${terminatedAtMs ?? "now"}`);
    }
  }
}

function isPresent({ node }: PoolRecord): boolean {
  return isUnborn(node) || node.state === "registered" || node.state === "healthy";
}

/** Nodes that still serve while the plan has their own offers rented in their place. */
function replacedCount(open: readonly PoolRecord[], lines: readonly DesiredLine[]): number {
  const wanted = new Map(lines.map(({ offerId, count }) => [offerId, count]));
  const byOffer = Map.groupBy(open.filter(isPresent), ({ node }) => node.offerId ?? "");
  return [...byOffer].reduce(
    (sum, [offerId, own]) => sum + Math.max(0, own.length - (wanted.get(offerId) ?? 0)),
    0,
  );
}
