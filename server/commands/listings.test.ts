import { expect, test } from "vitest";
import type { NodeSummary, PlanSummary } from "../../sdk/protocol/index.ts";
import { findingsText } from "./doctor.ts";
import { nodeTable } from "./node-list.ts";
import { planText } from "./plan.ts";

const NODE: NodeSummary = {
  nodeId: "no_1",
  state: "healthy",
  cloud: "aws",
  region: "us-east-1",
  instanceType: "p5.4xlarge",
  purchase: "spot",
  gpu: "H100",
  gpuCount: 1,
  gpuUsed: 1,
  cpuMilli: 16_000,
  memoryMiB: 262_144,
  containers: 2,
  usdPerHour: 3.5,
  emulated: true,
  isolation: "process",
  sinceMs: 1_000,
  faults: [],
};

const PLAN: PlanSummary = {
  planId: "pl_1",
  atMs: 0,
  status: "optimal",
  solver: "highs",
  solveMs: 12.4,
  offersConsidered: 120,
  objectiveUsdPerHour: 3.5,
  boundUsdPerHour: 3.5,
  gapFraction: 0,
  terms: {},
  lines: [
    {
      offerId: "aws/us-east-1/*/p5.4xlarge/spot",
      cloud: "aws",
      region: "us-east-1",
      instanceType: "p5.4xlarge",
      purchase: "spot",
      count: 3,
      delta: 2,
      usdPerHour: 3.5,
      reason: "cheapest H100",
    },
  ],
  unmet: [{ classId: "B300:1", quantity: 4, reason: "no offer has a B300" }],
};

test("emulated GPUs and missing isolation are named in the node listing", () => {
  const text = nodeTable([NODE], 61_000);
  expect(text).toContain("1/1 H100");
  expect(text).toContain("EMULATED");
  expect(text).toMatch(/NONE/);
  expect(text).toContain("60 s");
  expect(nodeTable([{ ...NODE, emulated: false, isolation: "gvisor" }], 0)).not.toMatch(
    /EMULATED|NONE/,
  );
});

test("a machine of an emulated cloud is named as such, also without GPUs", () => {
  const text = nodeTable([{ ...NODE, gpuCount: 0, gpuUsed: 0 }], 0);
  expect(text).toContain("aws us-east-1 EMULATED");
  const local = nodeTable([{ ...NODE, cloud: "local", region: "local" }], 0);
  expect(local).not.toContain("local local EMULATED");
  expect(local).toContain("1/1 H100 EMULATED");
});

test("what is broken on a node is named in its row, all of it", () => {
  const broken = { ...NODE, nodeId: "no_2", faults: ["GPU 3 is lost", "the disk is full"] };
  const [head = "", well = "", unfit = ""] = nodeTable([NODE, broken], 0).split("\n");
  const column = head.indexOf("FAULTS");
  expect([well, unfit].map((row) => row.slice(column))).toEqual([
    "-",
    "GPU 3 is lost; the disk is full",
  ]);
});

test("a plan that leaves demand unmet does not pass its penalty off as a price", () => {
  const terms = { rent: 10.5, unmet: 1_000 };
  const text = planText({ ...PLAN, terms, objectiveUsdPerHour: 1_010.5 });
  expect(text).toContain("machines $10.50/h;");
  expect(text).toContain("$10.50 rent + $1000.00 unmet = $1010.50/h");
});

test("a plan is shown with what changes, what it costs, why, and what it leaves unmet", () => {
  const text = planText(PLAN);
  expect(text).toContain("from 120 offers");
  expect(text).toContain("1 -> 3");
  expect(text).toContain("10.50");
  expect(text).toContain("cheapest H100");
  expect(text).toContain("unmet: 4 of B300:1: no offer has a B300");
});

test("a finding that is not good says how to mend it", () => {
  const text = findingsText([
    { name: "node", state: "good", detail: "v24" },
    { name: "redis-server", state: "bad", detail: "not found", mend: "install it" },
  ]);
  expect(text.split("\n")).toHaveLength(3);
  expect(text).toContain("→ install it");
});
