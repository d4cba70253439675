import { expect, test } from "vitest";
import {
  DEFAULT_OPTIMIZER_POLICY,
  type ContainerNeeds,
  type OptimizerPolicy,
} from "../core/index.ts";
import type { FleetPlan } from "../optimizer/index.ts";
import { desiredLinesOf } from "./plan-lines.ts";

const NEEDS: ContainerNeeds = { cpuMilli: 100, memoryMiB: 128, preemptible: true };

/** The rule of a line that holds one container of each of these needs. */
function ruleOf(needs: readonly Partial<ContainerNeeds>[], policy: Partial<OptimizerPolicy> = {}) {
  const classes = needs.map((one, index) => ({
    classId: `class-${index}`,
    needs: { ...NEEDS, ...one },
    unmetMicroUsdPerHour: 1,
  }));
  const containers = classes.map(({ classId }) => ({ classId, quantity: 1 }));
  const line: FleetPlan["lines"][number] = {
    offerId: "x",
    count: 2,
    delta: 2,
    priceMicroUsdPerHour: 1,
    reason: "demand",
    layouts: [{ scenarioId: "now", nodeCount: 1, containers }],
  };
  const full = { ...DEFAULT_OPTIMIZER_POLICY, ...policy };
  const [desired] = desiredLinesOf([line], classes, full);
  expect(desired).toMatchObject({ offerId: "x", count: 2, reason: "demand" });
  return desired?.standIns;
}

test("containers that may run anywhere and be reclaimed allow everything", () => {
  expect(ruleOf([{}])).toEqual({ purchases: ["on-demand", "spot"] });
});

test("one container that must not be reclaimed, or policy, rules spot out", () => {
  expect(ruleOf([{}, { preemptible: false }])?.purchases).toEqual(["on-demand"]);
  expect(ruleOf([{}], { spotAllowed: false })?.purchases).toEqual(["on-demand"]);
});

test("where waiting has a price, spot stands in for nothing: its zones are limited by the plan", () => {
  const { buffers } = DEFAULT_OPTIMIZER_POLICY;
  const priced = { buffers: { ...buffers, waitMicroUsdPerGpuHour: 1 } };
  expect(ruleOf([{}], priced)?.purchases).toEqual(["on-demand"]);
});

test("only places that all of the containers and policy allow are allowed", () => {
  expect(
    ruleOf([{ regions: ["a", "b", "c"] }, { regions: ["b", "c"], clouds: ["aws"] }], {
      regions: ["c", "d"],
    }),
  ).toMatchObject({ regions: ["c"], clouds: ["aws"] });
  expect(ruleOf([{ zones: ["z1", "z2"] }, { zones: ["z2"] }])?.zones).toEqual(["z2"]);
});

test("there is no rule where only the planner can tell", () => {
  expect(
    ruleOf([{}], { shares: [{ of: "cloud", name: "aws", maxFraction: 0.5 }] }),
  ).toBeUndefined();
  expect(ruleOf([{ interconnect: "nvlink" }])).toBeUndefined();
  expect(ruleOf([{ placementGroups: ["g"] }])).toBeUndefined();
});
