import { describe, expect, it } from "vitest";
import { planFleet } from "./plan-fleet.ts";
import type { FleetPlan, PlanInput } from "./plan.ts";
import { createSolvers, type Solvers } from "./solvers/create-solvers.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan } from "./verify-plan.ts";

const solvers = createSolvers();
const usd = (amount: number): number => Math.round(amount * 1e6);

async function planned(input: PlanInput, using: Solvers = solvers): Promise<FleetPlan> {
  const plan = await planFleet(input, using);
  expect(verifyPlan(input, plan)).toEqual([]);
  return plan;
}

function counts(plan: FleetPlan): Record<string, number> {
  return Object.fromEntries(
    plan.lines.map((line) => [line.offerId.split("/")[3] ?? line.offerId, line.count]),
  );
}

describe("a plan", () => {
  const cheap = testOffer("cheap", { priceMicroUsdPerHour: usd(2.61) });
  const dear = testOffer("dear", { priceMicroUsdPerHour: usd(2.75), region: "us-west-2" });

  it("rents the cheapest offer that serves the demand and says why", async () => {
    const input = testInput({
      offers: [dear, cheap],
      classes: [testClass("a")],
      quantity: { a: 1 },
    });
    const plan = await planned(input);
    expect(plan).toMatchObject({
      status: "optimal",
      solver: "none",
      offersConsidered: 2,
      unmet: [],
      solverFailures: [],
    });
    expect(plan.lines).toEqual([
      {
        offerId: cheap.offerId,
        count: 1,
        delta: 1,
        priceMicroUsdPerHour: usd(2.61),
        reason: "cheapest of 2 offers for 1 container with H100 x1: $2.61/h per GPU",
        nextBest: { offerId: dear.offerId, priceMicroUsdPerHour: usd(2.75) },
        layouts: [{ scenarioId: "now", nodeCount: 1, containers: [{ classId: "a", quantity: 1 }] }],
      },
    ]);
    expect(plan.terms).toMatchObject({
      rent: 2.61,
      reclaim: 0,
      churn: 0.05,
      preference: 0,
      unmet: 0,
    });
    expect(plan.objectiveUsdPerHour).toBeCloseTo(2.66, 6);
  });

  it("does not serve an 8-GPU container from eight 1-GPU nodes", async () => {
    const eight = testClass("eight", { gpu: { types: ["H100"], count: 8 } });
    const small = testInput({ offers: [cheap], classes: [eight], quantity: { eight: 1 } });
    const refused = await planned(small);
    expect(refused.lines).toEqual([]);
    expect(refused.unmet).toMatchObject([{ classId: "eight", scenarioId: "now", quantity: 1 }]);
    expect(refused.unmet[0]?.reason).toMatch(/^too small: no single machine .* holds H100 x8/);

    const box = testOffer("box", {
      resources: { gpuCount: 8, cpuMilli: 128_000, memoryMiB: 1_048_576 },
      priceMicroUsdPerHour: usd(30),
    });
    const served = await planned({ ...small, offers: [cheap, box] });
    expect(counts(served)).toEqual({ box: 1 });
  });

  it("does not cut a container in two where the sums of two nodes would do", async () => {
    const pair = testOffer("pair", {
      resources: { gpuCount: 3, cpuMilli: 64_000, memoryMiB: 262_144 },
      priceMicroUsdPerHour: usd(5),
    });
    const two = testClass("two", { gpu: { types: ["H100"], count: 2 } });
    const plan = await planned(testInput({ offers: [pair], classes: [two], quantity: { two: 3 } }));
    expect(counts(plan)).toEqual({ pair: 3 });
    expect(plan.status).toBe("optimal");
  });

  it("cuts where a mixture of classes fits in sum but not on whole nodes", async () => {
    const node = testOffer("node", {
      resources: { gpuCount: 8, cpuMilli: 640_000, memoryMiB: 1_048_576 },
      priceMicroUsdPerHour: usd(20),
    });
    const classes = [5, 6].map((count) =>
      testClass(`gpu${count}`, { gpu: { types: ["H100"], count } }),
    );
    const input = testInput({ offers: [node], classes, quantity: { gpu5: 2, gpu6: 2 } });
    const plan = await planned(input);
    expect(counts(plan)).toEqual({ node: 4 });
    expect(plan).toMatchObject({ status: "optimal", gapFraction: 0 });
  });

  it("shares one GPU between fractions, but never one fraction between two GPUs", async () => {
    const gpus = testOffer("gpus", {
      resources: { gpuCount: 2, cpuMilli: 64_000, memoryMiB: 262_144 },
    });
    const part = testClass("part", { gpu: { types: ["H100"], count: 0.6 } });
    const half = testClass("half", { gpu: { types: ["H100"], count: 0.5 } });
    const offers = [gpus];
    const six = await planned(testInput({ offers, classes: [part], quantity: { part: 3 } }));
    expect(counts(six)).toEqual({ gpus: 2 });
    const five = await planned(testInput({ offers, classes: [half], quantity: { half: 4 } }));
    expect(counts(five)).toEqual({ gpus: 1 });
  });

  it("rents spot only for preemptible classes and only when policy allows it", async () => {
    const spot = testOffer("spot", { purchase: "spot", priceMicroUsdPerHour: usd(1) });
    const offers = [cheap, spot];
    const steady = testInput({ offers, classes: [testClass("a")], quantity: { a: 1 } });
    const loose = { ...steady, classes: [testClass("a", { preemptible: true })] };
    expect(counts(await planned(steady))).toEqual({ cheap: 1 });
    expect(counts(await planned(loose))).toEqual({ spot: 1 });
    const never = { ...loose, policy: { ...loose.policy, spotAllowed: false } };
    expect(counts(await planned(never))).toEqual({ cheap: 1 });
    const alone = await planned({ ...steady, offers: [spot] });
    expect(alone.unmet[0]?.reason).toMatch(/^spot rule: only spot is offered/);
  });

  it("prices reclaims of spot nodes", async () => {
    const spot = testOffer("spot", {
      purchase: "spot",
      priceMicroUsdPerHour: usd(2),
      reclaimFractionPerHour: 0.5,
    });
    const plan = await planned(
      testInput({
        offers: [cheap, spot],
        classes: [testClass("a", { preemptible: true })],
        quantity: { a: 1 },
      }),
    );
    expect(counts(plan)).toEqual({ cheap: 1 });
  });

  it("keeps to a function's order of GPU types unless a later one saves enough", async () => {
    const h200 = testOffer("h200", { gpuType: "H200", priceMicroUsdPerHour: usd(2.6) });
    const wish = testClass("a", { gpu: { types: ["H100", "H200"], count: 1 } });
    const input = testInput({ offers: [cheap, h200], classes: [wish], quantity: { a: 2 } });
    expect(counts(await planned(input))).toEqual({ cheap: 2 });
    const bargain = { ...h200, priceMicroUsdPerHour: usd(2) };
    const plan = await planned({ ...input, offers: [cheap, bargain] });
    expect(counts(plan)).toEqual({ h200: 2 });
    expect(plan.terms.preference).toBeGreaterThan(0);
  });

  it("rents for the peak of the sum of scenarios, not the sum of the peaks", async () => {
    const input = testInput({
      offers: [cheap],
      classes: [testClass("a"), testClass("b")],
      scenarios: [
        { scenarioId: "day", probability: 0.5, quantity: { a: 4, b: 1 } },
        { scenarioId: "night", probability: 0.5, quantity: { a: 1, b: 4 } },
      ],
    });
    expect(counts(await planned(input))).toEqual({ cheap: 5 });
  });

  it("leaves unlikely demand unmet when a node costs more than it is worth", async () => {
    const input = testInput({
      offers: [cheap],
      classes: [{ ...testClass("a"), unmetMicroUsdPerHour: usd(10) }],
      scenarios: [
        { scenarioId: "likely", probability: 0.9, quantity: { a: 1 } },
        { scenarioId: "peak", probability: 0.1, quantity: { a: 3 } },
      ],
    });
    const plan = await planned(input);
    expect(counts(plan)).toEqual({ cheap: 1 });
    expect(plan.unmet).toMatchObject([{ scenarioId: "peak", quantity: 2 }]);
    expect(plan.unmet[0]?.reason).toMatch(/^price: /);
  });
});

describe("limits", () => {
  const offer = testOffer("node");
  const base = testInput({ offers: [offer], classes: [testClass("a")], quantity: { a: 4 } });

  async function reasonOf(input: PlanInput, quantity: number): Promise<string> {
    const plan = await planned(input);
    expect(plan.unmet).toMatchObject([{ classId: "a", scenarioId: "now", quantity }]);
    return plan.unmet[0]?.reason ?? "";
  }

  it("names the quota that binds, also when it is 0", async () => {
    const quotaLimits = { "aws/us-east-1/P/on-demand": 3 };
    expect(await reasonOf({ ...base, quotaLimits }, 1)).toBe(
      "quota aws/us-east-1/P/on-demand (3 nodes)",
    );
    const none = { "aws/us-east-1/P/on-demand": 0 };
    expect(await reasonOf({ ...base, quotaLimits: none }, 4)).toMatch(/^quota .* \(0 nodes\)$/);
  });

  it("names the budget", async () => {
    const policy = { ...base.policy, budgetMicroUsdPerHourMax: usd(7) };
    expect(await reasonOf({ ...base, policy }, 2)).toBe("budget of $7.00/h");
  });

  it("names the capacity of the offers", async () => {
    const offers = [{ ...offer, nodeCountMax: 3 }];
    expect(await reasonOf({ ...base, offers }, 1)).toBe(
      "offer capacity: the offers that suit it have 3 nodes in all",
    );
    expect(await reasonOf({ ...base, offers: [{ ...offer, nodeCountMax: 0 }] }, 4)).toMatch(
      /^offer capacity: .* 0 nodes in all$/,
    );
  });

  it("names a missing GPU, an empty market, and rules of cloud and region", async () => {
    expect(await reasonOf({ ...base, offers: [] }, 4)).toBe("no offers are listed");
    expect(await reasonOf({ ...base, offers: [{ ...offer, gpuType: "T4" }] }, 4)).toBe(
      "no offer has GPU H100",
    );
    const classes = [testClass("a", { regions: ["eu-west-1"] })];
    expect(await reasonOf({ ...base, classes }, 4)).toBe(
      "region rule: the function allows eu-west-1, offered in us-east-1",
    );
    const regions = { ...base.policy, regions: ["eu-west-1"] };
    expect(await reasonOf({ ...base, policy: regions }, 4)).toMatch(/^region rule: policy allows/);
    const clouds = { ...base.policy, clouds: ["gcp" as const] };
    expect(await reasonOf({ ...base, policy: clouds }, 4)).toMatch(/^cloud rule: policy allows/);
  });

  it("answers huge demand with what there is", async () => {
    const huge = testInput({
      offers: [offer],
      classes: base.classes,
      quantity: { a: 1_000_000_000 },
    });
    expect(await reasonOf(huge, 999_999_990)).toMatch(/^offer capacity/);
    const endless = { ...huge, offers: [{ ...offer, nodeCountMax: 1_000_000_000 }] };
    const plan = await planned(endless);
    expect(plan.lines[0]?.count).toBe(1_000_000_000);
  });

  it("prices a quota and the capacity of an offer", async () => {
    const quotaLimits = { "aws/us-east-1/P/on-demand": 3 };
    const plan = await planned({ ...base, quotaLimits });
    expect(plan.shadowPrices).toEqual([
      { constraint: "quota aws/us-east-1/P/on-demand", usdPerUnit: 996.95 },
    ]);
    const scarce = testOffer("scarce", { nodeCountMax: 1, priceMicroUsdPerHour: usd(1) });
    const cheaper = await planned({ ...base, offers: [offer, scarce] });
    expect(cheaper.shadowPrices).toEqual([
      { constraint: `capacity ${scarce.offerId}`, usdPerUnit: 2 },
    ]);
  });
});

describe("the present fleet", () => {
  const here = testOffer("here", { priceMicroUsdPerHour: usd(3) });
  const there = testOffer("there", { priceMicroUsdPerHour: usd(2.9) });
  const base = testInput({
    offers: [here, there],
    classes: [testClass("a")],
    quantity: { a: 4 },
    fleet: [{ offerId: here.offerId, count: 4 }],
  });

  it("stays when moving would save less than the threshold", async () => {
    const policy = { ...base.policy, churnMicroUsd: 0 };
    const plan = await planned({ ...base, policy });
    expect(counts(plan)).toEqual({ here: 4 });
    expect(plan.lines[0]?.reason).toMatch(/kept: moving would save only 3.3 %, less than 5.0 %/);
    const eager = await planned({ ...base, policy: { ...policy, hysteresisFraction: 0.01 } });
    expect(eager.lines.map((line) => line.delta)).toEqual([-4, 4]);
  });

  it("grows without moving when only the new demand needs nodes", async () => {
    const policy = { ...base.policy, churnMicroUsd: 0 };
    const scenarios = [{ scenarioId: "now", probability: 1, quantity: { a: 6 } }];
    const plan = await planned({ ...base, policy, scenarios });
    expect(counts(plan)).toEqual({ here: 4, there: 2 });
  });

  it("moves when it pays", async () => {
    const offers = [here, { ...there, priceMicroUsdPerHour: usd(1) }];
    const plan = await planned({ ...base, offers });
    expect(counts(plan)).toEqual({ here: 0, there: 4 });
    expect(plan.lines[0]?.reason).toBe("released: no demand needs 4 nodes of it");
  });

  it("shrinks to nothing when nothing is wanted", async () => {
    const plan = await planned({
      ...base,
      scenarios: [{ scenarioId: "now", probability: 1, quantity: {} }],
    });
    expect(plan.lines).toMatchObject([{ count: 0, delta: -4 }]);
  });

  it("may stay beyond what its offer has left", async () => {
    const offers = [{ ...here, nodeCountMax: 0 }];
    expect(counts(await planned({ ...base, offers }))).toEqual({ here: 4 });
  });

  it("serves on when its offer is no longer listed, and is not emptied when nothing is", async () => {
    const known = [{ offerId: here.offerId, count: 4, offer: here }];
    const dearer = { ...there, priceMicroUsdPerHour: usd(9) };
    expect(counts(await planned({ ...base, offers: [dearer], fleet: known }))).toEqual({ here: 4 });
    const blind = await planned({ ...base, offers: [] });
    expect(blind.lines).toMatchObject([{ offerId: here.offerId, count: 4, delta: 0 }]);
    expect(blind.lines[0]?.reason).toMatch(/^kept: the offer is no longer listed/);
  });

  it("is released where policy forbids it", async () => {
    const regions = ["us-west-2"];
    const plan = await planned({ ...base, policy: { ...base.policy, regions } });
    expect(plan.lines).toMatchObject([
      { count: 0, delta: -4, reason: "released: policy allows only the regions us-west-2" },
    ]);
  });

  it("gives way to a quota or budget that has become smaller", async () => {
    const quotaLimits = { "aws/us-east-1/P/on-demand": 2 };
    const budget = { ...base.policy, budgetMicroUsdPerHourMax: usd(6) };
    for (const input of [
      { ...base, quotaLimits },
      { ...base, policy: budget },
    ]) {
      const plan = await planned(input);
      expect(plan.lines.reduce((sum, line) => sum + line.count, 0)).toBe(2);
      const cover = await planned(input, {});
      expect(cover.lines.reduce((sum, line) => sum + line.count, 0)).toBe(2);
    }
  });
});
