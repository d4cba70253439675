import { describe, expect, it } from "vitest";
import { planBySize } from "./plan-fleet.ts";
import type { FleetPlan, PlanInput } from "./plan.ts";
import { createSolvers } from "./solvers/create-solvers.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan } from "./verify-plan.ts";

const { highs } = createSolvers();
const usd = (amount: number): number => Math.round(amount * 1e6);

/** The whole model and the relaxation must agree on markets whose optimum one can see. */
const WAYS = [
  { way: "the whole model", sizes: { smallColumnCountMax: 1e9, middleColumnCountMax: 1e9 } },
  { way: "the relaxation", sizes: { smallColumnCountMax: 0, middleColumnCountMax: 0 } },
];

describe.each(WAYS)("money, by $way", ({ sizes }) => {
  async function planned(input: PlanInput): Promise<FleetPlan> {
    const plan = await planBySize(sizes, input, { highs });
    expect(verifyPlan(input, plan)).toEqual([]);
    expect(plan.solverFailures).toEqual([]);
    return plan;
  }
  const counts = (plan: FleetPlan): Record<string, number> =>
    Object.fromEntries(
      plan.lines.map(({ offerId, count }) => [offerId.split("/")[3] ?? offerId, count]),
    );

  it("holds a cloud to its largest share, at the price of the dearer one", async () => {
    const near = testOffer("near", { priceMicroUsdPerHour: usd(1) });
    const far = testOffer("far", { cloud: "gcp", priceMicroUsdPerHour: usd(2) });
    const classes = [testClass("a")];
    const policy = { shares: [{ of: "cloud" as const, name: "aws", maxFraction: 0.6 }] };
    const plan = await planned(
      testInput({ offers: [near, far], classes, quantity: { a: 5 }, policy }),
    );
    expect(counts(plan)).toEqual({ near: 3, far: 2 });
    expect(plan.terms.rent).toBeCloseTo(7, 6);
  });

  it("gives a purchase option its smallest share", async () => {
    const steady = testOffer("steady", { priceMicroUsdPerHour: usd(2) });
    const spot = testOffer("spot", { purchase: "spot", priceMicroUsdPerHour: usd(1) });
    const classes = [testClass("a", { preemptible: true })];
    const shares = [{ of: "purchase" as const, name: "on-demand", minFraction: 0.5 }];
    const plan = await planned(
      testInput({ offers: [steady, spot], classes, quantity: { a: 4 }, policy: { shares } }),
    );
    expect(counts(plan)).toEqual({ steady: 2, spot: 2 });
  });

  it("pays for concentration only while that is cheaper than moving", async () => {
    const here = testOffer("here", { priceMicroUsdPerHour: usd(2) });
    const there = testOffer("there", { region: "eu-west-1", priceMicroUsdPerHour: usd(2.5) });
    const plan = (microUsdPerGpuHour: number): Promise<FleetPlan> =>
      planned(
        testInput({
          offers: [here, there],
          classes: [testClass("a")],
          quantity: { a: 4 },
          policy: { concentration: [{ of: "region", freeFraction: 0.5, microUsdPerGpuHour }] },
        }),
      );
    // Beyond half of 4 GPUs: 2 in one region, at 0.1 USD each. Moving one costs 0.5 USD.
    const cheap = await plan(usd(0.1));
    expect(counts(cheap)).toEqual({ here: 4 });
    expect(cheap.terms.concentration).toBeCloseTo(0.2, 6);
    const dear = await plan(usd(0.6));
    expect(counts(dear)).toEqual({ here: 2, there: 2 });
    expect(dear.terms.concentration).toBe(0);
  });

  it("uses committed nodes first and pays for them whether used or not", async () => {
    const reserved = testOffer("reserved", {
      purchase: "reserved",
      priceMicroUsdPerHour: usd(4),
      nodeCountMax: 2,
    });
    const other = testOffer("other", { priceMicroUsdPerHour: usd(1) });
    const classes = [testClass("a")];
    const plan = await planned(
      testInput({ offers: [reserved, other], classes, quantity: { a: 3 } }),
    );
    expect(counts(plan)).toEqual({ reserved: 2, other: 1 });
    expect(plan.terms).toMatchObject({ rent: 1, committed: 8 });
    const idle = await planned(testInput({ offers: [reserved], classes, quantity: { a: 0 } }));
    expect(idle.terms).toMatchObject({ rent: 0, committed: 8 });
  });

  it("counts the launches that fail on the way to one that succeeds", async () => {
    const flaky = testOffer("flaky", {
      priceMicroUsdPerHour: usd(2),
      launchFailureFraction: 0.75,
    });
    const sound = testOffer("sound", { priceMicroUsdPerHour: usd(2.1) });
    const input = testInput({
      offers: [flaky, sound],
      classes: [testClass("a")],
      quantity: { a: 1 },
      policy: { churnMicroUsd: usd(0.05) },
    });
    // 0.05 / (1 - 0.75) = 0.20 against 0.05 a launch: 2.20 against 2.15.
    const plan = await planned(input);
    expect(counts(plan)).toEqual({ sound: 1 });
    const ignoring = { ...input.policy, ignoredTerms: ["churn" as const] };
    const blind = await planned({ ...input, policy: ignoring });
    expect(counts(blind)).toEqual({ flaky: 1 });
    expect(blind.terms.churn).toBe(0);
  });

  it("weighs egress and the price of regions against rent", async () => {
    const home = testOffer("home", { region: "eu-west-1", priceMicroUsdPerHour: usd(3) });
    const away = testOffer("away", { priceMicroUsdPerHour: usd(2) });
    const demand = { ...testClass("a"), home: { regions: ["eu-west-1"], gibPerHour: 20 } };
    const base = testInput({ offers: [home, away], classes: [demand], quantity: { a: 1 } });
    const withPrices = (gib: number, region: number): PlanInput => ({
      ...base,
      policy: {
        ...base.policy,
        egressMicroUsdPerGib: { aws: usd(gib) },
        regionMicroUsdPerContainerHour: { "us-east-1": usd(region) },
      },
    });
    // 20 GiB at 0.02 are 0.40, and 0.30 for the region: 2.70 is still less than 3.
    const cheap = await planned(withPrices(0.02, 0.3));
    expect(counts(cheap)).toEqual({ away: 1 });
    expect(cheap.terms).toMatchObject({ rent: 2, egress: 0.4, region: 0.3 });
    expect(counts(await planned(withPrices(0.04, 0.3)))).toEqual({ home: 1 });
    const dear = withPrices(0.04, 0.3);
    const ignoredTerms = ["egress" as const];
    const ignoring = await planned({ ...dear, policy: { ...dear.policy, ignoredTerms } });
    expect(counts(ignoring)).toEqual({ away: 1 });
    expect(ignoring.terms).toMatchObject({ egress: 0, region: 0.3 });
  });
});
