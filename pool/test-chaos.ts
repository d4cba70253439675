/**
 * Runs in which processes die and clouds misbehave, with checkers; the same seed is the same run.
 *
 * What they look for: a machine that nobody owns, two machines where one was wanted, and a bill
 * that goes on after a release. They report findings instead of failing, so that tests and the
 * benchmark can both use them.
 */
import { createRng, MS_PER_MINUTE, PlatformError, type Offer, type Rng } from "../core/index.ts";
import { CLUSTER_TAG } from "./observe.ts";
import { STRAY_GRACE_MS } from "./reconcile.ts";
import { isUnborn } from "./snapshot.ts";
import type { DesiredLine, PoolRecord } from "./ports.ts";
import { testOffer } from "./test-pool.ts";
import { CLUSTER, lineOf, TestWorld, type CallFault } from "./test-world.ts";

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
  // Soon given up, so that the process can die at that, too.
  const policy = { idleReleaseMs: 5_000 };
  const world = new TestWorld({ seed, visibilityMs, nameless: rng.below(2) === 0, policy });
  const found = new Findings(world);
  const half = async (wanted: number, tickCount: number): Promise<void> => {
    world.crashAt({ step: rng.below(30), when: rng.below(2) === 0 ? "before" : "after" });
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
  await half(count, 30);
  await half(0, 45);
  found.checkBills();
  return found;
}

const HOUR_TICKS = 720;
/** Bad and good minutes follow each other. */
const WAVE_TICKS = 60;
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
  const found = new Findings(world);
  let lines: readonly DesiredLine[] = [];
  let wanted = 0;
  world.fault = () => (rng.next() < 0.3 ? faultOf(rng) : undefined);
  for (let tick = 0; tick < HOUR_TICKS; tick += 1) {
    if (tick % WAVE_TICKS === 0) {
      wanted = rng.below(40);
      lines = planOf(offers, wanted, rng);
      for (const one of offers) world.provider.setCapacity(one.offerId, rng.below(3) * 20);
    }
    await misfortune(world, rng, tick);
    await found.tick(lines, wanted);
  }
  world.fault = noFault;
  for (const region of REGIONS) world.provider.setRegionDown(region, false);
  for (const one of offers) world.provider.setCapacity(one.offerId, 1_000);
  for (let tick = 0; tick < CALM_TICKS; tick += 1) await found.tick(lines, wanted);
  await found.sweep(lines, wanted);
  const present = (await world.ledger.listOpen()).filter(({ node }) => node.state === "healthy");
  if (present.length !== wanted) {
    found.unsettled.push(`${present.length} healthy nodes where ${wanted} are wanted`);
  }
  return found;
}

/** What else may happen at a tick: reclaims, a machine that nobody knows of, a jump, a death. */
async function misfortune(world: TestWorld, rng: Rng, tick: number): Promise<void> {
  if (rng.below(150) === 0) await reclaimHalf(world, rng);
  if (rng.below(100) === 0) await leak(world, offer, `lost-${tick}`);
  const reach = rng.fork(`reach ${tick}`);
  for (const region of REGIONS) {
    if (reach.below(60) === 0) world.provider.setRegionDown(region, reach.below(2) === 0);
  }
  if (rng.below(200) === 0) world.jump(rng.below(2) === 0 ? JUMP_MS : -JUMP_MS);
  if (rng.below(40) !== 0) return;
  world.crashAt({ step: rng.below(20), when: rng.below(2) === 0 ? "before" : "after" });
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
  const standIns = { purchases: ["on-demand" as const] };
  return [
    { index: first, count: firstCount },
    { index: second, count: wanted - firstCount },
  ].flatMap(({ index, count }) => {
    const chosen = offers[index];
    return chosen === undefined || count === 0 ? [] : [{ ...lineOf(chosen, count), standIns }];
  });
}

async function reclaimHalf(world: TestWorld, rng: Rng): Promise<void> {
  for (const { providerNodeId } of await world.live()) {
    if (rng.below(2) === 0) world.provider.reclaim(providerNodeId);
  }
}

/** A machine of this cluster that no record will ever know of, where it can be had. */
async function leak(world: TestWorld, { offerId, region }: Offer, nodeId: string): Promise<void> {
  const { unseen } = await world.provider.listNodes();
  if (unseen.some((place) => place.region === region)) return;
  const offers = (await world.provider.listOffers()).filter((one) => one.offerId === offerId);
  await world.provider.rent({
    offers,
    nodeIds: [nodeId],
    clientToken: nodeId,
    userData: "",
    tags: { [CLUSTER_TAG]: CLUSTER },
  });
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
  readonly #world: TestWorld;
  #presentBefore = 0;

  constructor(world: TestWorld) {
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
    for (const [nodeId = "", own] of byNode) {
      if (own.length > 1) this.doubleLaunches.push(`${own.length} machines of ${nodeId}`);
    }
    const open = await this.#world.ledger.listOpen();
    const present = open.filter(isPresent).length;
    // Rents never lead beyond the plan; what is there already may be more for a while.
    const allowed = Math.max(wanted + replacedCount(open, lines), this.#presentBefore);
    if (present > allowed) this.doubleLaunches.push(`${present} nodes where ${wanted} are wanted`);
    this.#presentBefore = present;
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
  checkBills(): void {
    for (const { node, terminatedAtMs, launchedAtMs } of this.#world.ledger.all()) {
      const endedAtMs = this.#world.endedAtMs.get(node.providerNodeId ?? "");
      if (launchedAtMs === undefined || endedAtMs === undefined) continue;
      if ((terminatedAtMs ?? Infinity) - endedAtMs <= BILL_TOLERANCE_MS) continue;
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
