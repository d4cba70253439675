import { expect, test } from "vitest";
import type { EventBody, PlanSummary, PlatformEvent } from "../../sdk/protocol/index.ts";
import { createNarrator } from "./narrate.ts";

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
      count: 1,
      delta: 1,
      usdPerHour: 3.5,
      reason: "cheapest H100",
    },
  ],
  unmet: [],
};

function event(body: EventBody): PlatformEvent {
  return { eventId: "1", atMs: 0, nodeId: "no_00000001", ...body };
}

function told(...bodies: readonly EventBody[]): readonly string[] {
  const narrate = createNarrator();
  return bodies.flatMap((body) => narrate(event(body)).map((line) => line.text));
}

test("a plan says what it looked at, what it chose, at what price and why", () => {
  const [head, line] = told({ kind: "plan.made", plan: PLAN });
  expect(head).toContain("120 offers considered");
  expect(line).toBe("+1 × aws p5.4xlarge (spot, us-east-1) at $3.50/h: cheapest H100");
});

test("the same plan and the same reason are told once, logs every time", () => {
  const pending: EventBody = { kind: "call.pending", reason: "no node has an H100" };
  const log: EventBody = { kind: "log", stream: "stdout", text: "hi\n", sequence: 1 };
  const plan: EventBody = { kind: "plan.made", plan: PLAN };
  expect(told(pending, pending, plan, plan)).toHaveLength(3);
  expect(told(log, log)).toEqual(["│ hi", "│ hi"]);
});

test("a plan that changes nothing is no news", () => {
  const lines = PLAN.lines.map((line) => ({ ...line, delta: 0 }));
  expect(told({ kind: "plan.made", plan: { ...PLAN, lines } })).toEqual([]);
});

test("emulated hardware is named when its node registers", () => {
  const [text] = told({
    kind: "node.registered",
    description: "p5.4xlarge with 1 H100",
    emulated: true,
    isolation: "gvisor",
  });
  expect(text).toContain("[EMULATED]");
});
