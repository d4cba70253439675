import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, type Offer } from "../../core/index.ts";
import type { CapacityPolicy, FunctionLoad, OfferFleet } from "../capacity-policy.ts";
import { testHost, testLoad, testNeeds, testOffer, testView } from "../test-market.ts";
import { CoverTable, type LimitedChoice } from "./cover-table.ts";
import { HeldPeak } from "./held-peak.ts";
import { KARPENTER_DEFAULT, karpenterLike } from "./karpenter-like.ts";
import { knapsack } from "./knapsack.ts";
import { bestTuned, REACTIVE_70_10, reactive, reactiveGrid, REACTIVE_TUNED } from "./reactive.ts";
import { staticPeak } from "./static-peak.ts";

const POLICY = DEFAULT_OPTIMIZER_POLICY;
const EAST = testOffer();
const WEST = testOffer({ region: "us-west-2", priceMicroUsdPerHour: 4_000_000 });
const HOST = testHost();

interface Moment {
  readonly atMs?: number;
  readonly offers?: readonly Offer[];
  readonly loads: readonly FunctionLoad[];
  readonly fleet?: readonly OfferFleet[];
}

/** Nodes by instance type and region that a policy answers with. */
async function linesOf(policy: CapacityPolicy, moment: Moment): Promise<Record<string, number>> {
  const { atMs = 0, offers = [EAST], loads, fleet = [] } = moment;
  const answer = await policy.decide(testView(atMs, offers, loads, fleet));
  expect(answer.bufferGpuCount).toBeGreaterThanOrEqual(0);
  const known = new Map([...offers, ...fleet.map(({ offer }) => offer)].map((o) => [o.offerId, o]));
  return Object.fromEntries(
    answer.lines.map(({ offerId, count }) => {
      const offer = known.get(offerId);
      return [`${offer?.instanceType ?? "?"} ${offer?.region ?? "?"}`, count];
    }),
  );
}

const fleetOf = (offer: Offer, nodeCount: number): readonly OfferFleet[] => [{ offer, nodeCount }];
const reactive70 = (): CapacityPolicy => reactive("r", REACTIVE_70_10, POLICY);

describe("the reactive autoscaler", () => {
  it("wants load over its target, rounded up", async () => {
    expect(await linesOf(reactive70(), { loads: [testLoad(70)] })).toEqual({
      "one-h100 us-east-1": 100,
    });
    expect(await linesOf(reactive70(), { loads: [testLoad(70.1)] })).toEqual({
      "one-h100 us-east-1": 101,
    });
  });

  it("wants nothing where nothing is asked, and the floor and the limit of a function", async () => {
    const none = testLoad(0);
    expect(await linesOf(reactive70(), { loads: [] })).toEqual({});
    expect(await linesOf(reactive70(), { loads: [none] })).toEqual({});
    const floor = { ...none, floor: 3 };
    expect(await linesOf(reactive70(), { loads: [floor] })).toEqual({ "one-h100 us-east-1": 3 });
    const limited = testLoad(70, { maxContainers: 10 });
    expect(await linesOf(reactive70(), { loads: [limited] })).toEqual({ "one-h100 us-east-1": 10 });
  });

  it("goes by what runs and waits where service takes long or is not known", async () => {
    const long = testLoad(0, { serviceMs: 100_000, running: 7, arrivalsPerSecond: 50 });
    expect(await linesOf(reactive70(), { loads: [long] })).toEqual({ "one-h100 us-east-1": 10 });
    const { serviceMs: _known, ...rest } = testLoad(0, { running: 0, backlog: 7 });
    expect(await linesOf(reactive70(), { loads: [rest] })).toEqual({ "one-h100 us-east-1": 10 });
    expect(_known).toBe(10_000);
  });

  it("counts what waits by its work, and never more than one container for an input", async () => {
    const waiting = (serviceMs: number): FunctionLoad =>
      testLoad(0, { serviceMs, running: 0, backlog: 21 });
    const nodes = async (serviceMs: number): Promise<number> =>
      (await linesOf(reactive70(), { loads: [waiting(serviceMs)] }))["one-h100 us-east-1"] ?? 0;
    expect(await nodes(10_000)).toBe(10);
    expect(await nodes(1_000)).toBe(1);
    expect(await nodes(600_000)).toBe(30);
  });

  it("keeps machines for its hold and not longer, and rents none only because it once did", async () => {
    const policy = reactive70();
    const at = (atMs: number, gpus: number, present: number): Promise<Record<string, number>> =>
      linesOf(policy, { atMs, loads: [testLoad(gpus)], fleet: fleetOf(EAST, present) });
    expect(await at(0, 70, 0)).toEqual({ "one-h100 us-east-1": 100 });
    expect(await at(300_000, 7, 60)).toEqual({ "one-h100 us-east-1": 60 });
    expect(await at(600_000, 7, 100)).toEqual({ "one-h100 us-east-1": 100 });
    expect(await at(600_001, 7, 100)).toEqual({ "one-h100 us-east-1": 10 });
    expect(await at(610_000, 0, 10)).toEqual({ "one-h100 us-east-1": 10 });
    expect(await at(1_300_000, 0, 10)).toEqual({});
  });

  it("takes the next cheapest offer for what the cheapest one does not have", async () => {
    const few = testOffer({ nodeCountMax: 60 });
    const offers = [WEST, few];
    expect(await linesOf(reactive70(), { offers, loads: [testLoad(70)] })).toEqual({
      "one-h100 us-east-1": 60,
      "one-h100 us-west-2": 40,
    });
    // The cheapest one refuses for a while: what is there of it stays.
    const fleet = fleetOf(few, 60);
    expect(await linesOf(reactive70(), { offers: [WEST], loads: [testLoad(70)], fleet })).toEqual({
      "one-h100 us-east-1": 60,
      "one-h100 us-west-2": 40,
    });
  });

  it("leaves unserved what no offer may serve", async () => {
    const t4 = testLoad(7, { needs: testNeeds({ gpu: { types: ["T4"], count: 1 } }) });
    const europe = testLoad(7, { needs: testNeeds({ regions: ["eu-west-1"] }) });
    const spot = testOffer({ purchase: "spot" });
    expect(await linesOf(reactive70(), { loads: [t4, europe] })).toEqual({});
    expect(await linesOf(reactive70(), { offers: [spot], loads: [testLoad(7)] })).toEqual({});
  });

  it("adds up functions with equal needs before rounding, and lets others share their nodes", async () => {
    const many = Array.from({ length: 100 }, (_, at) =>
      testLoad(0.07, { functionId: `f${at}`, running: 0 }),
    );
    expect(await linesOf(reactive70(), { loads: many })).toEqual({ "one-h100 us-east-1": 10 });

    const quarter = testLoad(7, { needs: testNeeds({ gpu: { types: ["H100"], count: 0.25 } }) });
    expect(await linesOf(reactive70(), { loads: [quarter] })).toEqual({ "one-h100 us-east-1": 3 });

    const four = testLoad(0.7, { needs: testNeeds({ gpu: { types: ["H100"], count: 4 } }) });
    const one = testLoad(2.8);
    const offers = [HOST];
    expect(await linesOf(reactive70(), { offers, loads: [one, four] })).toEqual({
      "eight-h100 us-east-1": 1,
    });
  });

  it("runs several inputs in a container where a function says so", async () => {
    const shared = testLoad(70, { concurrency: 10 });
    expect(await linesOf(reactive70(), { loads: [shared] })).toEqual({ "one-h100 us-east-1": 10 });
  });

  it("takes no host of eight for one container, and one for eight when that is cheaper", async () => {
    const offers = [HOST, testOffer({ priceMicroUsdPerHour: 3_500_000 })];
    expect(await linesOf(reactive70(), { offers, loads: [testLoad(0.7)] })).toEqual({
      "one-h100 us-east-1": 1,
    });
    expect(await linesOf(reactive70(), { offers, loads: [testLoad(6.3)] })).toEqual({
      "eight-h100 us-east-1": 1,
      "one-h100 us-east-1": 1,
    });
  });

  it("has a small grid with both named settings, of which the cheapest feasible run is the best", () => {
    expect(reactiveGrid()).toEqual(expect.arrayContaining([REACTIVE_70_10, REACTIVE_TUNED]));
    const run = (paidMicroUsd: number, missFraction: number) => ({
      parameters: REACTIVE_TUNED,
      paidMicroUsd,
      missFraction,
    });
    const runs = [run(5, 0), run(1, 0.02), run(3, 0.01), run(4, 0.001)];
    expect(bestTuned(runs, 0.01)).toEqual(run(3, 0.01));
    expect(bestTuned(runs, -1)).toBeUndefined();
  });
});

describe("the static fleet", () => {
  it("is the peak of the sum of functions, measured by windows, times the factor", async () => {
    const series = [
      { functionId: "a", perSecond: Float64Array.of(1, 3, 0, 0) },
      { functionId: "b", perSecond: Float64Array.of(1, 1, 4, 2) },
    ];
    const trace = {
      name: "t",
      source: "made up",
      stepMs: 300_000,
      windowMs: 600_000,
      series,
      imputed: new Uint8Array(2),
    };
    const functions = ["a", "b"].map((functionId) => ({
      functionId,
      needs: testNeeds(),
      service: { meanMs: 10_000, sigma: 1 },
      start: { coldMs: 5_000 },
      minContainers: 0,
      maxContainers: 1_000,
      bufferContainers: 0,
      scaledownWindowMs: 60_000,
      concurrency: 1,
    }));
    const at = (factor: number): Promise<Record<string, number>> =>
      linesOf(staticPeak("s", { trace, functions, factor, policy: POLICY }), { loads: [] });
    expect(await at(1)).toEqual({ "one-h100 us-east-1": 30 });
    expect(await at(1.1)).toEqual({ "one-h100 us-east-1": 33 });
  });
});

describe("the knapsack", () => {
  const chosen = (choices: readonly LimitedChoice[], count: number): Record<string, number> => {
    const nodes = new CoverTable(choices, count).nodesFor(count);
    return Object.fromEntries([...nodes].map(([offer, nodeCount]) => [offer.offerId, nodeCount]));
  };

  it("is the cheapest of all combinations, by brute force, for every number below its own", () => {
    const choice = fc
      .record({
        perNode: fc.integer({ min: 1, max: 8 }),
        price: fc.integer({ min: 1, max: 40 }),
        nodeCountMax: fc.nat({ max: 5 }),
      })
      .map(({ perNode, price, nodeCountMax }) => ({ perNode, price, nodeCountMax }));
    fc.assert(
      fc.property(
        fc.array(choice, { maxLength: 4 }),
        fc.integer({ min: 1, max: 24 }),
        (made, most) => {
          const choices = made.map(({ perNode, price, nodeCountMax }, at) => ({
            offer: testOffer({ offerId: `o${at}`, priceMicroUsdPerHour: price }),
            perNode,
            nodeCountMax,
          }));
          const table = new CoverTable(choices, most);
          for (let count = 0; count <= most; count += 1) {
            const nodes = table.nodesFor(count);
            const sum = (of: (one: LimitedChoice) => number): number =>
              choices.reduce((total, one) => total + of(one) * (nodes.get(one.offer) ?? 0), 0);
            const room = choices.reduce((total, one) => total + one.perNode * one.nodeCountMax, 0);
            expect(choices.every((one) => (nodes.get(one.offer) ?? 0) <= one.nodeCountMax)).toBe(
              true,
            );
            expect(sum(({ perNode }) => perNode)).toBeGreaterThanOrEqual(Math.min(count, room));
            expect(sum(({ offer }) => offer.priceMicroUsdPerHour)).toBe(
              cheapestOfAll(choices, Math.min(count, room)),
            );
          }
        },
      ),
    );
  });

  it("takes one host where greed would take a host and a rest, and is quick for thousands", () => {
    const host = { offer: HOST, perNode: 8, nodeCountMax: 10_000 };
    const single = {
      offer: testOffer({ priceMicroUsdPerHour: 3_100_000 }),
      perNode: 1,
      nodeCountMax: 9,
    };
    expect(chosen([host, single], 7)).toEqual({ [single.offer.offerId]: 7 });
    expect(chosen([host, single], 8)).toEqual({ [HOST.offerId]: 1 });
    expect(chosen([host, single], 10)).toEqual({ [HOST.offerId]: 1, [single.offer.offerId]: 2 });
    expect(chosen([host, single], 40_000)).toEqual({ [HOST.offerId]: 5_000 });
    expect(chosen([single], 40_000)).toEqual({ [single.offer.offerId]: 9 });
    expect(chosen([], 5)).toEqual({});
  });

  it("buys each kind of container apart, within what can be had together", async () => {
    const policy = knapsack("k", { ...REACTIVE_70_10, utilizationTarget: 1 }, POLICY);
    const offers = [testHost({ nodeCountMax: 1 }), WEST];
    const four = testLoad(1, { needs: testNeeds({ gpu: { types: ["H100"], count: 4 } }) });
    expect(await linesOf(policy, { offers, loads: [testLoad(7), four] })).toEqual({
      "eight-h100 us-east-1": 1,
      "one-h100 us-west-2": 7,
    });
    expect(await linesOf(policy, { offers, loads: [] })).toEqual({});
  });
});

function cheapestOfAll(choices: readonly LimitedChoice[], count: number): number {
  const [first, ...rest] = choices;
  if (count <= 0) return 0;
  if (first === undefined) return Infinity;
  let best = Infinity;
  for (let nodes = 0; nodes <= first.nodeCountMax; nodes += 1) {
    const others = cheapestOfAll(rest, count - nodes * first.perNode);
    best = Math.min(best, nodes * first.offer.priceMicroUsdPerHour + others);
  }
  return best;
}

describe("the Karpenter-like autoscaler", () => {
  const karpenter = (): CapacityPolicy =>
    karpenterLike("k", { ...KARPENTER_DEFAULT, utilizationTarget: 1 }, POLICY);
  const DEAR_SINGLE = testOffer({ priceMicroUsdPerHour: 4_000_000 });

  it("gives back a machine whose containers fit on others, a minute after it could", async () => {
    const policy = karpenterLike(
      "k",
      { ...KARPENTER_DEFAULT, utilizationTarget: 1, podHoldMs: 0 },
      POLICY,
    );
    const fleet = fleetOf(EAST, 10);
    const at = (atMs: number, gpus: number): Promise<Record<string, number>> =>
      linesOf(policy, { atMs, loads: [testLoad(gpus)], fleet });
    expect(await at(0, 10)).toEqual({ "one-h100 us-east-1": 10 });
    expect(await at(30_000, 4)).toEqual({ "one-h100 us-east-1": 10 });
    expect(await at(60_000, 4)).toEqual({ "one-h100 us-east-1": 10 });
    expect(await at(60_001, 4)).toEqual({ "one-h100 us-east-1": 4 });
  });

  it("replaces a host that is nearly empty by a small machine, once, and then does without it", async () => {
    const policy = karpenter();
    const offers = [HOST, DEAR_SINGLE];
    const loads = [testLoad(1)];
    const lines = (atMs: number, fleet: readonly OfferFleet[]): Promise<Record<string, number>> =>
      linesOf(policy, { atMs, offers, loads, fleet });
    expect(await lines(0, fleetOf(HOST, 1))).toEqual({
      "eight-h100 us-east-1": 1,
      "one-h100 us-east-1": 1,
    });
    const both = [...fleetOf(HOST, 1), ...fleetOf(DEAR_SINGLE, 1)];
    expect(await lines(50_000, both)).toEqual({
      "eight-h100 us-east-1": 1,
      "one-h100 us-east-1": 1,
    });
    expect(await lines(70_000, both)).toEqual({ "one-h100 us-east-1": 1 });
    expect(await lines(200_000, fleetOf(DEAR_SINGLE, 1))).toEqual({ "one-h100 us-east-1": 1 });
  });

  it("replaces several machines by one cheaper host, within its budget", async () => {
    const offers = [HOST, DEAR_SINGLE];
    const policy = karpenter();
    const few = await linesOf(policy, {
      offers,
      loads: [testLoad(8)],
      fleet: fleetOf(DEAR_SINGLE, 8),
    });
    expect(few).toEqual({ "one-h100 us-east-1": 8 });
    const loads = [testLoad(80)];
    const fleet = fleetOf(DEAR_SINGLE, 80);
    expect(await linesOf(karpenter(), { offers, loads, fleet })).toEqual({
      "one-h100 us-east-1": 80,
      "eight-h100 us-east-1": 1,
    });
  });

  it("never replaces spot by spot", async () => {
    const cheap = testOffer({ purchase: "spot", priceMicroUsdPerHour: 1_000_000 });
    const dear = testOffer({ purchase: "spot", zone: "b", priceMicroUsdPerHour: 2_000_000 });
    const loads = [testLoad(4, { needs: testNeeds({ preemptible: true }) })];
    const of = (offer: Offer): Promise<Record<string, number>> =>
      linesOf(karpenter(), {
        offers: [{ ...cheap, instanceType: "spot-h100" }],
        loads,
        fleet: fleetOf(offer, 4),
      });
    expect(await of(dear)).toEqual({ "one-h100 us-east-1": 4 });
    expect(await of(EAST)).toEqual({ "one-h100 us-east-1": 4, "spot-h100 us-east-1": 1 });
  });
});

it("a held peak is the highest value of the last while, by brute force", () => {
  const value = fc.record({ gapMs: fc.nat({ max: 50 }), value: fc.nat({ max: 9 }) });
  fc.assert(
    fc.property(fc.array(value), fc.nat({ max: 100 }), (values, holdMs) => {
      const peak = new HeldPeak(holdMs);
      const seen: { readonly atMs: number; readonly value: number }[] = [];
      let atMs = 0;
      for (const one of values) {
        atMs += one.gapMs;
        seen.push({ atMs, value: one.value });
        const lately = seen.filter((past) => past.atMs >= atMs - holdMs);
        expect(peak.observe(atMs, one.value)).toBe(Math.max(...lately.map((past) => past.value)));
      }
    }),
  );
});
