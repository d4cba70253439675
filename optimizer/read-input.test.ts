import { describe, expect, it } from "vitest";
import { PlatformError } from "../core/index.ts";
import { planFleet } from "./plan-fleet.ts";
import type { PlanInput } from "./plan.ts";
import { createSolvers } from "./solvers/create-solvers.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan } from "./verify-plan.ts";

describe("input that makes no sense", () => {
  const offer = testOffer("node");
  const demand = testClass("a");
  const base = testInput({ offers: [offer], classes: [demand], quantity: { a: 1 } });
  const scenario = base.scenarios[0]!;

  it.each<readonly [string, PlanInput, RegExp]>([
    [
      "a negative price",
      { ...base, offers: [{ ...offer, priceMicroUsdPerHour: -1 }] },
      /offer aws.*: priceMicroUsdPerHour is -1, but must be/,
    ],
    [
      "a price that is not a number",
      { ...base, offers: [{ ...offer, priceMicroUsdPerHour: NaN }] },
      /priceMicroUsdPerHour is NaN/,
    ],
    ["an offer twice", { ...base, offers: [offer, offer] }, /offer aws.* is listed twice/],
    ["a class twice", { ...base, classes: [demand, demand] }, /demand class a is listed twice/],
    [
      "a fractional machine",
      { ...base, offers: [{ ...offer, resources: { ...offer.resources, gpuCount: 0.5 } }] },
      /resources.gpuCount is 0.5/,
    ],
    ["negative capacity", { ...base, offers: [{ ...offer, nodeCountMax: -3 }] }, /nodeCountMax/],
    [
      "half a container",
      { ...base, scenarios: [{ ...scenario, quantity: { a: 0.5 } }] },
      /quantity of a is 0.5/,
    ],
    [
      "demand without end",
      { ...base, scenarios: [{ ...scenario, quantity: { a: Infinity } }] },
      /quantity of a is Infinity/,
    ],
    [
      "demand of nobody",
      { ...base, scenarios: [{ ...scenario, quantity: { b: 1 } }] },
      /quantity is b, but must be a known class/,
    ],
    ["no scenario", { ...base, scenarios: [] }, /at least one scenario/],
    [
      "probabilities that miss 1",
      { ...base, scenarios: [{ ...scenario, probability: 0.5 }] },
      /add up to 0.5, not 1/,
    ],
    [
      "one and a half GPUs",
      { ...base, classes: [testClass("a", { gpu: { types: ["H100"], count: 1.5 } })] },
      /gpu.count is 1.5/,
    ],
    [
      "no GPU type",
      { ...base, classes: [testClass("a", { gpu: { types: [], count: 1 } })] },
      /gpu.types/,
    ],
    ["a negative quota", { ...base, quotaLimits: { q: -1 } }, /quota q: limit is -1/],
    ["a gap above 1", { ...base, policy: { ...base.policy, gapFraction: 2 } }, /gapFraction is 2/],
    ["no horizon", { ...base, policy: { ...base.policy, horizonMs: 0 } }, /horizonMs is 0/],
    [
      "fewer than no nodes",
      { ...base, fleet: [{ offerId: "x", count: -1 }] },
      /fleet entry x: count/,
    ],
  ])("is refused once and clearly: %s", async (_, input, message) => {
    const refusal = planFleet(input, {});
    await expect(refusal).rejects.toBeInstanceOf(PlatformError);
    await expect(refusal).rejects.toMatchObject({ code: "invalid_request", retryable: false });
    await expect(refusal).rejects.toThrow(message);
  });
});

describe("input that cannot be served", () => {
  const solvers = createSolvers();
  const offer = testOffer("node");
  const base = testInput({ offers: [offer], classes: [testClass("a")], quantity: { a: 2 } });
  const shares = (...fractions: readonly number[]) =>
    fractions.map((minFraction, index) => ({
      of: "cloud" as const,
      name: ["aws", "gcp"][index] ?? "",
      minFraction,
    }));

  it.each<readonly [string, PlanInput, number, RegExp]>([
    ["no offers", { ...base, offers: [] }, 2, /./],
    [
      "a quota of 0",
      { ...base, quotaLimits: { "aws/us-east-1/P/on-demand": 0 } },
      2,
      /quota aws\/us-east-1\/P\/on-demand/,
    ],
    [
      "demand for a billion containers",
      testInput({ offers: [offer], classes: [testClass("a")], quantity: { a: 1e9 } }),
      1e9 - 10,
      /capacity/,
    ],
    [
      "a GPU type that nobody offers",
      { ...base, classes: [testClass("a", { gpu: { types: ["B300"], count: 1 } })] },
      2,
      /B300/,
    ],
    [
      "two smallest shares above 1 together",
      { ...base, policy: { ...base.policy, shares: shares(0.7, 0.7) } },
      2,
      /share rule/,
    ],
  ])("is unmet demand with a reason: %s", async (_, input, unmet, reason) => {
    const plan = await planFleet(input, solvers);
    expect(verifyPlan(input, plan)).toEqual([]);
    expect(plan.unmet).toMatchObject([{ classId: "a", quantity: unmet }]);
    expect(plan.unmet[0]?.reason).toMatch(reason);
  });
});
