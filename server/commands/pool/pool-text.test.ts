import { describe, expect, test } from "vitest";
import type { PoolStatus } from "../../fleet/pool-report.ts";
import { checkText, cloudTable } from "./clouds.ts";
import { eventTable } from "./events.ts";
import { deadlineMsOf, orderText } from "./order.ts";
import { statusText } from "./status.ts";

const STATUS: PoolStatus = {
  atMs: 1_000,
  leads: true,
  nodes: { healthy: 3, draining: 1 },
  wantedNodes: 4,
  spend: { usdPerHour: 12.5, todayUsd: 30, monthUsd: 100, forecastUsd: 2_000 },
  unreachableClouds: [],
  unseen: [],
  refusals: [],
  strays: [],
  unclaimed: [],
  unfit: [],
  isRepairHalted: false,
};

describe("the pool's status", () => {
  test("says what there is, what is wanted and what it costs", () => {
    const text = statusText(STATUS);
    expect(text).toContain("3 healthy, 1 draining; the plan wants 4");
    expect(text).toContain("$12.50/h; today $30.00, this month $100.00 (UTC)");
    expect(text).toContain("forecast  $2000.00 for the whole month");
    expect(text).not.toContain("✖");
  });

  test("names everything that somebody should look at", () => {
    const text = statusText({
      ...STATUS,
      leads: false,
      leader: "other:/data",
      spend: { ...STATUS.spend, budgetUsdPerHour: 20, budgetUsdPerMonth: 1_000 },
      unreachableClouds: ["gcp"],
      unseen: [
        { cloud: "aws", region: "us-east-1", sinceMs: 0, reason: "timed out" },
        { cloud: "gcp", region: "r", zone: "r-b", sinceMs: 0, reason: "down" },
      ],
      refusals: [{ key: "cloud gcp", reason: "no answer", untilMs: 61_000, count: 2 }],
      strays: [{ cloud: "aws", providerNodeId: "i-9", launchedAtMs: 0 }],
      unclaimed: [
        {
          cloud: "aws",
          surveyedAtMs: 0,
          machines: [{ providerNodeId: "i-7", kind: "lost", reason: "it was no_7's" }],
          bareCount: 7,
          bareExamples: ["i-5", "i-6"],
        },
      ],
      unfit: [{ nodeId: "no_1", fault: "GPU 0 is lost" }],
      isRepairHalted: true,
    });
    expect(text).toContain("kept by   other:/data");
    expect(text).toContain("$12.50/h of $20.00");
    expect(text).toContain("✖ the forecast is above the month's budget");
    expect(text).toContain("✖ gcp cannot be listed");
    expect(text).toContain("✖ aws us-east-1 cannot be listed");
    expect(text).toMatch(/✖ gcp r-b cannot be listed.*\(down\)/);
    expect(text).toContain("✖ aws machine i-9 belongs to nobody");
    expect(text).toContain("✖ aws machine i-7 has no cluster's tag: it was no_7's (it is given");
    expect(text).toContain("aws: 7 other machines have nothing of ours");
    expect(text).toContain("(i-5, i-6, ...)");
    expect(text).toContain("✖ no_1 is unfit: GPU 0 is lost");
    expect(text).toContain("✖ too many nodes are unfit at once");
    expect(text).toMatch(/cloud gcp +60 s +2 +no answer/);
  });
});

test("events are shown oldest first, each with its reason", () => {
  const text = eventTable([
    { sequence: 2, atMs: 2_000, kind: "draining", nodeId: "no_1", reason: "the plan wants 0" },
    { sequence: 1, atMs: 1_000, kind: "requested", nodeId: "no_1", reason: "cheapest H100" },
  ]);
  const [head, first, second] = text.split("\n");
  expect(head).toMatch(/^TIME +EVENT/);
  expect(first).toMatch(/^1970-01-01T00:00:01.000Z +requested +no_1 .*cheapest H100$/);
  expect(second).toContain("the plan wants 0");
});

test("an order says what the node is, and what still runs there", () => {
  const report = { nodeId: "no_1", state: "draining", isChanged: true, containers: 2 };
  expect(orderText("drain", report)).toContain("2 containers still finish there");
  expect(orderText("release", report)).toContain("its machine is being given back");
  const already = { ...report, state: "cordoned", isChanged: false, containers: 0 };
  expect(orderText("cordon", already)).toBe("✔ no_1 is cordoned already");
});

test("a deadline is a number with a unit, and nothing else", () => {
  expect(["90s", "10m", "2h", "0s"].map(deadlineMsOf)).toEqual([90_000, 600_000, 7_200_000, 0]);
  for (const text of ["", "10", "m", "-1m", "1.5h", "10 m", "10d", "1e3s", "9999999s"]) {
    expect(() => deadlineMsOf(text), text).toThrow("--deadline takes a time such as");
  }
});

test("clouds are listed with their state, and checked step by step", () => {
  const cloud = { cloud: "aws", isReachable: false, offers: 3, nodes: 1, usdPerHour: 2 };
  expect(cloudTable([cloud])).toMatch(/aws +DOES NOT ANSWER +3 +1 +2.00/);
  const steps = [
    { step: "list offers", isGood: true, detail: "3 offers" },
    { step: "rent in r1 (dry run)", isGood: false, detail: "UnauthorizedOperation: no" },
  ];
  expect(checkText({ cloud: "aws", isGood: false, steps })).toBe(
    "aws\n  ✔ list offers: 3 offers\n  ✖ rent in r1 (dry run): UnauthorizedOperation: no",
  );
});
