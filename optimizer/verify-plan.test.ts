import { describe, expect, it } from "vitest";
import { planFleet } from "./plan-fleet.ts";
import type { FleetPlan, PlanInput, PlanLine } from "./plan.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";
import { verifyPlan, type PlanViolation } from "./verify-plan.ts";

const offer = testOffer("node", {
  resources: { gpuCount: 2, cpuMilli: 16_000, memoryMiB: 131_072 },
});
const input = testInput({
  offers: [offer],
  classes: [testClass("a"), testClass("part", { gpu: { types: ["H100"], count: 0.6 } })],
  quantity: { a: 3, part: 1 },
  fleet: [{ offerId: offer.offerId, count: 1 }],
  quotaLimits: { "aws/us-east-1/P/on-demand": 5 },
  policy: { budgetMicroUsdPerHourMax: 100_000_000 },
});
const plan = await planFleet(input, {});
const line = plan.lines[0]!;

function check(kind: PlanViolation["kind"], changed: FleetPlan, from: PlanInput = input): void {
  expect(verifyPlan(from, changed).map((violation) => violation.kind)).toContain(kind);
}

function withLine(change: Partial<PlanLine>): FleetPlan {
  return { ...plan, lines: [{ ...line, ...change }] };
}

function packed(containers: Readonly<Record<string, number>>, nodeCount = 1): FleetPlan {
  const held = Object.entries(containers).map(([classId, quantity]) => ({ classId, quantity }));
  return withLine({ layouts: [{ scenarioId: "now", nodeCount, containers: held }] });
}

describe("the verifier", () => {
  it("passes a sound plan", () => {
    expect(verifyPlan(input, plan)).toEqual([]);
  });

  it("refuses figures that do not add up", () => {
    check("figures", { ...plan, objectiveUsdPerHour: NaN });
    check("figures", { ...plan, objectiveUsdPerHour: plan.objectiveUsdPerHour + 1 });
    check("figures", { ...plan, boundUsdPerHour: plan.objectiveUsdPerHour + 1 });
    check("figures", { ...plan, terms: { ...plan.terms, rent: 0, churn: 1 } });
    check("figures", withLine({ priceMicroUsdPerHour: 1 }));
  });

  it("refuses lines that are wrong or missing", () => {
    check("lines", { ...plan, lines: [] });
    check("lines", { ...plan, lines: [line, line] });
    check("lines", withLine({ count: 1.5 }));
    check("lines", withLine({ delta: 0 }));
    check("lines", withLine({ offerId: "nowhere" }));
  });

  it("refuses more nodes than capacity, quota or budget allow", () => {
    check("capacity", withLine({ count: 11, delta: 10 }));
    check("quota", withLine({ count: 6, delta: 5 }));
    const policy = { ...input.policy, budgetMicroUsdPerHourMax: 1_000_000 };
    check("budget", plan, { ...input, policy });
  });

  it("refuses offers that policy forbids", () => {
    for (const rule of [{ clouds: ["gcp" as const] }, { regions: ["eu-west-1"] }]) {
      check("rule", plan, { ...input, policy: { ...input.policy, ...rule } });
    }
    const spot = { ...offer, purchase: "spot" as const };
    const policy = { ...input.policy, spotAllowed: false };
    check("rule", plan, { ...input, offers: [spot], policy });
  });

  it("refuses containers that do not fit on whole nodes or may not run there", () => {
    check("packing", packed({ a: 3 }));
    check("packing", packed({ a: 1, part: 2 }));
    check("packing", packed({ part: 3 }));
    check("packing", packed({ a: 1 }, 3));
    check("packing", packed({ b: 1 }));
    check("packing", packed({ a: 1e300 }));
    const classes = [testClass("a", { regions: ["eu-west-1"] }), ...input.classes.slice(1)];
    check("packing", plan, { ...input, classes });
    check("packing", plan, { ...input, offers: [{ ...offer, purchase: "spot" }] });
  });

  it("refuses demand that is neither served nor unmet, or served twice", () => {
    check("demand", withLine({ layouts: [] }));
    check("demand", {
      ...plan,
      unmet: [{ classId: "a", scenarioId: "now", quantity: 1, reason: "x" }],
    });
    check("demand", {
      ...plan,
      unmet: [{ classId: "a", scenarioId: "never", quantity: 1, reason: "" }],
    });
  });
});
