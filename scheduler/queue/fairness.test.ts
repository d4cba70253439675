import fc from "fast-check";
import { expect, test } from "vitest";
import {
  DEFAULT_SCHEDULER_POLICY,
  type ContainerRequest,
  type PlacedContainer,
  type SchedulerPolicy,
} from "../../core/index.ts";
import { place } from "../place.ts";
import type { PlacementPlan } from "../plan.ts";
import { gpu, node, OPTIONS, request } from "../test-fleet.ts";

const policy = (over: Partial<SchedulerPolicy>): SchedulerPolicy => ({
  ...DEFAULT_SCHEDULER_POLICY,
  ...over,
});

function wanted(workspaceId: string, count: number, over: Partial<ContainerRequest> = {}) {
  return Array.from({ length: count }, (_, index) => ({
    ...request(`${workspaceId}_${String(index).padStart(3, "0")}`, gpu(1)),
    workspaceId,
    ...over,
  }));
}

function placedBy(plan: PlacementPlan, workspaceId: string): number {
  return plan.placements.filter((one) => one.containerId.startsWith(`${workspaceId}_`)).length;
}

function running(workspaceId: string, count: number, over: Partial<PlacedContainer> = {}) {
  return Array.from({ length: count }, (_, index) => ({
    containerId: `run_${workspaceId}_${index}`,
    functionId: "f",
    nodeId: "n",
    resources: { gpuCount: 1, cpuMilli: 100, memoryMiB: 128 },
    workspaceId,
    evictable: true,
    ...over,
  }));
}

test("a workspace that asks for much does not keep others from their half", () => {
  const fleet = { nodes: [node({ nodeId: "n", gpus: 8 })], containers: [] };
  const result = place([...wanted("a", 100), ...wanted("b", 4)], fleet, OPTIONS);
  expect([placedBy(result, "a"), placedBy(result, "b")]).toEqual([4, 4]);
});

test("weights divide what all want, and what one leaves goes to the others", () => {
  const fleet = { nodes: [node({ nodeId: "n", gpus: 8 })], containers: [] };
  const quotas = { a: { weight: 3 }, b: { weight: 1 } };
  const options = { ...OPTIONS, policy: policy({ quotas }) };
  const both = place([...wanted("a", 20), ...wanted("b", 20)], fleet, options);
  expect([placedBy(both, "a"), placedBy(both, "b")]).toEqual([6, 2]);
  const alone = place(wanted("b", 20), fleet, options);
  expect(placedBy(alone, "b")).toBe(8);
});

test("limits hold, and the refusal says so", () => {
  const fleet = { nodes: [node({ nodeId: "n", gpus: 8 })], containers: [] };
  const quotas = { a: { gpuCountMax: 3 }, b: { maxFraction: 0.25 } };
  const options = { ...OPTIONS, policy: policy({ quotas }) };
  const result = place([...wanted("a", 8), ...wanted("b", 8)], fleet, options);
  expect([placedBy(result, "a"), placedBy(result, "b")]).toEqual([3, 2]);
  const reasons = new Set(result.refusals.map(({ reason }) => reason));
  expect(reasons).toEqual(
    new Set(["workspace a may hold 3 GPUs", "workspace b may hold 0.25 of the fleet"]),
  );
});

test("dominant shares end within one request of each other, whoever asks for how much", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 10, max: 40 }), { minLength: 2, maxLength: 4 }),
      (counts) => {
        const fleet = { nodes: [node({ nodeId: "n", gpus: 8 })], containers: [] };
        const requests = counts.flatMap((count, index) => wanted(`w${index}`, count));
        const result = place(requests, fleet, OPTIONS);
        const got = counts.map((_, index) => placedBy(result, `w${index}`));
        expect(Math.max(...got) - Math.min(...got)).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 50 },
  );
});

test("within a workspace the more important go first", () => {
  const fleet = { nodes: [node({ nodeId: "n", gpus: 1 })], containers: [] };
  const low = wanted("a", 1);
  const high = wanted("a", 1, { containerId: "a_high", priority: 5, requestedAtMs: 9 });
  const result = place([...low, ...high], fleet, OPTIONS);
  expect(result.placements.map((one) => one.containerId)).toEqual(["a_high"]);
});

test("a more important request ends the fewest and least important containers of its own", () => {
  const nodes = [node({ nodeId: "n", gpus: 4 })];
  const containers = [
    ...running("a", 3, { priority: 1 }),
    { ...running("a", 1)[0]!, containerId: "least", priority: 0 },
  ];
  const asks = wanted("a", 1, { priority: 2 });
  const result = place(asks, { nodes, containers }, OPTIONS);
  expect(result.placements).toEqual([]);
  expect(result.evictions.map((one) => one.containerId)).toEqual(["least"]);
  expect(result.refusals[0]?.reason).toMatch(/^waits until less important containers on n/);
  expect(result.reservations).toEqual([{ containerId: "a_000", nodeId: "n", isComingFree: true }]);
  expect(result.evictions[0]?.forContainerId).toBe("a_000");
  const ending = containers.map((one) => ({ ...one, ending: one.containerId === "least" }));
  expect(place(asks, { nodes, containers: ending }, OPTIONS).evictions).toEqual([]);
  const gone = containers.filter((one) => one.containerId !== "least");
  expect(place(asks, { nodes, containers: gone }, OPTIONS).placements).toHaveLength(1);
});

test("the one for whom others were ended goes before a workspace that holds less", () => {
  const nodes = [node({ nodeId: "n", gpus: 4 })];
  const containers = running("a", 3);
  const check = (isOwed: boolean): readonly string[] => {
    const asks = [...wanted("a", 1, isOwed ? { isOwed } : {}), ...wanted("b", 1)];
    return place(asks, { nodes, containers }, OPTIONS).placements.map((one) => one.containerId);
  };
  expect(check(false)).toEqual(["b_000"]);
  expect(check(true)).toEqual(["a_000"]);
});

test("a refusal says whether room would help", () => {
  const nodes = [node({ nodeId: "n", gpus: 1 })];
  const options = { ...OPTIONS, policy: policy({ quotas: { b: { gpuCountMax: 0 } } }) };
  const gang = { gangId: "g", size: 2, within: "zone" } as const;
  const asks = [
    ...wanted("a", 2),
    ...wanted("b", 1),
    { ...request("c", gpu(1)), gang },
    request("d", { cpuMilli: -1 }),
  ];
  const { refusals } = place(asks, { nodes, containers: [] }, options);
  expect(refusals.map((one) => [one.containerId, one.wantsRoom]).toSorted()).toEqual([
    ["a_001", true],
    ["b_000", false],
    ["c", false],
    ["d", false],
  ]);
});

test("nobody ends an equal, a stranger within its guarantee, or what is not evictable", () => {
  const nodes = [node({ nodeId: "n", gpus: 4 })];
  const quotas = { b: { guaranteedFraction: 1 } };
  const options = { ...OPTIONS, policy: policy({ quotas }) };
  const check = (containers: readonly PlacedContainer[], priority: number): void => {
    const asks = wanted("a", 1, { priority });
    expect(place(asks, { nodes, containers }, options).evictions).toEqual([]);
  };
  check(running("a", 4, { priority: 2 }), 2);
  check(running("b", 4), 9);
  check(running("a", 4, { evictable: false }), 9);
});

test("a workspace below its guarantee takes back what another has borrowed", () => {
  const nodes = [node({ nodeId: "n", gpus: 4 })];
  const quotas = { a: { guaranteedFraction: 0.5 }, b: { guaranteedFraction: 0.5 } };
  const options = { ...OPTIONS, policy: policy({ quotas }) };
  const result = place(wanted("a", 4), { nodes, containers: running("b", 4) }, options);
  expect(result.evictions).toHaveLength(1);
  const back = place(wanted("a", 4), { nodes, containers: running("b", 2) }, options);
  expect([back.placements.length, back.evictions.length]).toEqual([2, 0]);
});

test("no more containers end in one round than the policy allows", () => {
  const nodes = [node({ nodeId: "n", gpus: 8 })];
  const asks = [{ ...request("a_big", gpu(8)), workspaceId: "a", priority: 1 }];
  const result = place(
    asks,
    { nodes, containers: running("a", 8) },
    {
      ...OPTIONS,
      policy: policy({ evictionCountMaxPerRound: 7 }),
    },
  );
  expect(result.evictions).toEqual([]);
});
