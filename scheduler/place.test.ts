import { expect, test } from "vitest";
import type { ContainerNeeds, Node } from "../core/index.ts";
import { NO_COUNTS } from "./explain.ts";
import type { PlacementPlan } from "./plan.ts";
import { gpu, node, plan, request } from "./test-fleet.ts";

function homes(result: PlacementPlan): Record<string, string> {
  return Object.fromEntries(result.placements.map((one) => [one.containerId, one.nodeId]));
}

function refusal(nodes: readonly Node[], over: Partial<ContainerNeeds>): string | undefined {
  return plan([request("c", over)], nodes).refusals[0]?.reason;
}

test("the most wanted GPU type that fits is taken, though another fits more tightly", () => {
  const fleet = [node({ nodeId: "a", gpus: 1, gpuType: "L4" }), node({ nodeId: "b", gpus: 8 })];
  expect(homes(plan([request("c", gpu(1, "H100", "L4"))], fleet))).toEqual({ c: "b" });
  expect(homes(plan([request("c", gpu(1, "B200", "L4", "H100"))], fleet))).toEqual({ c: "a" });
});

test("CPU work stays off GPU nodes while another node has room", () => {
  const fleet = [node({ nodeId: "a", gpus: 8 }), node({ nodeId: "b" })];
  expect(homes(plan([request("c")], fleet))).toEqual({ c: "b" });
  expect(homes(plan([request("c")], fleet.slice(0, 1)))).toEqual({ c: "a" });
});

test("a CPU-heavy GPU container goes where it strands no GPU", () => {
  const lean = { gpuCount: 4, cpuMilli: 16_000, memoryMiB: 65_536 };
  const rich = { gpuCount: 4, cpuMilli: 64_000, memoryMiB: 65_536 };
  const fleet = [
    node({ nodeId: "a", gpus: 4, resources: lean }),
    node({ nodeId: "b", gpus: 4, resources: rich }),
  ];
  expect(homes(plan([request("c", { ...gpu(1), cpuMilli: 14_000 })], fleet))).toEqual({ c: "b" });
});

test("an empty node stays empty while a used one has room", () => {
  const fleet = [node({ nodeId: "a", gpus: 2 }), node({ nodeId: "b", gpus: 4 })];
  const held = {
    containerId: "x",
    functionId: "f",
    nodeId: "b",
    resources: { gpuCount: 1, cpuMilli: 100, memoryMiB: 100 },
  };
  expect(homes(plan([request("c", gpu(1))], fleet, [held]))).toEqual({ c: "b" });
});

test("shares fill a card before they open the next, and whole GPUs never share one", () => {
  const fleet = [node({ nodeId: "a", gpus: 2 })];
  const thirds = ["1", "2", "3"].map((id) => request(id, gpu(1 / 3)));
  const whole = request("4", gpu(1));
  const late = request("5", gpu(0.1));
  const result = plan([...thirds, whole, late], fleet);
  expect(result.placements.map((one) => one.containerId)).toEqual(["1", "2", "3", "4"]);
  expect(result.refusals[0]?.reason).toBe(
    "no node has 0.1 free H100: 1 node has H100, all GPUs in use",
  );
});

test("the oldest request goes first, ties by container id", () => {
  const fleet = [node({ nodeId: "a", gpus: 1 })];
  const young = { ...request("a", gpu(1)), requestedAtMs: 5 };
  const old = { ...request("z", gpu(1)), requestedAtMs: 4 };
  expect(homes(plan([young, old], fleet))).toEqual({ z: "a" });
  expect(homes(plan([request("b", gpu(1)), request("a", gpu(1))], fleet))).toEqual({ a: "a" });
});

test("a container that is placed already takes no room again", () => {
  const fleet = [node({ nodeId: "a" })];
  const held = {
    containerId: "c",
    functionId: "f",
    nodeId: "a",
    resources: { gpuCount: 0, cpuMilli: 1, memoryMiB: 1 },
  };
  expect(plan([request("c")], fleet, [held]).refusals[0]?.reason).toBe("already placed on a");
  const twice = plan([request("d"), request("d")], fleet);
  expect(twice.placements).toHaveLength(1);
  expect(twice.refusals).toHaveLength(1);
});

test("refusals name the constraint that binds", () => {
  const small = node({ nodeId: "s" });
  const two = [node({ nodeId: "a", gpus: 2 }), node({ nodeId: "b", gpus: 4 })];
  const cases: [readonly Node[], Partial<ContainerNeeds>, string][] = [
    [[], {}, "the fleet has no nodes"],
    [[small], gpu(1), "no node has an H100"],
    [[small], gpu(1, "T4", "L4"), "no node has a T4 or L4"],
    [
      [small, node({ nodeId: "n", state: "booting", gpus: 1 })],
      gpu(1),
      "no node has an H100; 1 node is starting",
    ],
    [two, gpu(8), "no node has 8 H100: 2 nodes have H100, 4 at most"],
    [[small], { clouds: ["aws", "gcp"] }, "no node is in aws or gcp"],
    [[small], { regions: ["eu"] }, "no node is in eu"],
    [
      [node({ nodeId: "n", purchase: "spot" })],
      { preemptible: false },
      "the container is not preemptible and 1 node is spot",
    ],
    [
      [small],
      { cpuMilli: 9_000 },
      "no node has 9 free vCPU: 1 node fits otherwise, at most 8 vCPU free on one",
    ],
    [
      two,
      { ...gpu(2), memoryMiB: 70_000 },
      "no node with 2 free H100 has 70000 MiB of free memory: 2 nodes fit otherwise, " +
        "at most 65536 MiB free on one",
    ],
    [
      [node({ nodeId: "n", state: "booting" }), node({ nodeId: "m", state: "draining" })],
      {},
      "no node is ready: 1 booting, 1 draining",
    ],
  ];
  for (const [fleet, over, expected] of cases) expect(refusal(fleet, over)).toBe(expected);
});

test("the sentence for GPUs in use counts them, whole or in pieces", () => {
  const fleet = [node({ nodeId: "a", gpus: 1 }), node({ nodeId: "b", gpus: 1 })];
  const both = [request("1", gpu(1)), request("2", gpu(1)), request("3", gpu(1))];
  const [first] = plan(both, fleet).refusals;
  expect(first?.containerId).toBe("3");
  expect(first?.reason).toBe("no node has 1 free H100: 2 nodes have H100, all GPUs in use");
  expect(first?.rejected).toEqual({ ...NO_COUNTS, gpuCount: 2 });
  const shares = [request("1", gpu(0.6)), request("2", gpu(0.6))];
  expect(plan(shares, fleet.slice(0, 1)).refusals[0]?.reason).toBe(
    "no node has 0.6 free H100: 1 node has H100, at most 0.4 free on one, in pieces",
  );
});

test("malformed needs are refused with the reason and take nothing", () => {
  const fleet = [node({ nodeId: "a", gpus: 8 })];
  const wrong: Partial<ContainerNeeds>[] = [
    gpu(1.5),
    gpu(0),
    gpu(Number.NaN),
    gpu(-1),
    { cpuMilli: -1 },
    { memoryMiB: Number.POSITIVE_INFINITY },
    { gpu: { types: [], count: 1 } },
  ];
  for (const over of wrong) expect(refusal(fleet, over)).toMatch(/^the request is malformed: /);
});

test("an overfilled node is full, not an error", () => {
  const fleet = [node({ nodeId: "a", gpus: 1 })];
  const held = ["x", "y"].map((containerId) => ({
    containerId,
    functionId: "f",
    nodeId: "a",
    resources: { gpuCount: 1, cpuMilli: 9_000, memoryMiB: 1 },
  }));
  expect(plan([request("c", gpu(1))], fleet, held).placements).toEqual([]);
  expect(plan([request("c")], fleet, held).placements).toEqual([]);
});
