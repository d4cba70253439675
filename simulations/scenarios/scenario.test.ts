import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, DEFAULT_POLICY, PlatformError } from "../../core/index.ts";
import { mayServe } from "../../optimizer/index.ts";
import { testOffer } from "../test-market.ts";
import { durationMsOf, type DemandTrace } from "../traces/trace.ts";
import { scenarioOf } from "./scenario.ts";

const FOLDER = new URL("../../examples/scenarios/", import.meta.url);
const files = readdirSync(FOLDER);

const SMALL = `
name: small
description: A test.
hours: 2
functions:
  - id: chat
    gpu: [H100]
    serviceSeconds: 10
    coldSeconds: 5
    demand: { meanPerSecond: 3 }
market:
  machines:
    - { cloud: aws, region: us-east-1, instanceType: p5, purchase: on-demand, gpu: H100, usdPerGpuHour: 3 }
`;

function refusalOf(text: string): string {
  try {
    scenarioOf(text, "s.yaml");
  } catch (error) {
    expect(error).toBeInstanceOf(PlatformError);
    return error instanceof Error ? error.message : "";
  }
  throw new Error("not refused");
}

test("there is an example for each of the usual worries", () => {
  const names = ["launch-day", "region-loss", "spot-storm", "gpu-shortage", "price-war"];
  const more = ["black-friday", "slow-cloud", "steady-batch"];
  expect(files).toEqual(expect.arrayContaining([...names, ...more].map((name) => `${name}.yaml`)));
});

test.each(files)("%s is a world that something happens in, and says whom it is for", (file) => {
  const text = readFileSync(new URL(file, FOLDER), "utf8");
  expect(text).toMatch(/^# For [^]*\n#\n# Watch: /);
  const world = scenarioOf(text, file);
  expect(`${world.name}.yaml`).toBe(file);
  expect(world.functions.map(({ functionId }) => functionId)).toEqual(
    world.trace.series.map(({ functionId }) => functionId),
  );
  for (const { functionId, needs } of world.functions) {
    const served = world.market.offers.some((offer) =>
      mayServe(offer, needs, DEFAULT_OPTIMIZER_POLICY),
    );
    expect(served, functionId).toBe(true);
  }
  const durationMs = durationMsOf(world.trace);
  expect(world.market.events.every(({ atMs }) => atMs < durationMs)).toBe(true);
  // A run of it takes seconds: about that many inputs.
  const inputs = world.trace.series
    .map(({ perSecond }) => perSecond.reduce((sum, rate) => sum + rate, 0))
    .reduce((sum, rates) => sum + (rates * world.trace.stepMs) / 1_000, 0);
  expect(inputs).toBeGreaterThan(5_000);
  expect(inputs).toBeLessThan(6_000_000);
  expect(scenarioOf(text, file)).toEqual(world);
});

test("what a scenario leaves out has its default", () => {
  const world = scenarioOf(SMALL, "s.yaml");
  expect(world).toMatchObject({ controlMs: 10_000, arrivalCv: 1, policy: DEFAULT_POLICY });
  expect(world.trace).toMatchObject({ stepMs: 10_000, windowMs: 600_000 });
  expect(world.functions[0]).toMatchObject({
    functionId: "chat",
    needs: { gpu: { types: ["H100"], count: 1 }, cpuMilli: 4_000, preemptible: true },
    service: { meanMs: 10_000, sigma: 1 },
    start: { coldMs: 5_000 },
    scaledownWindowMs: 60_000,
  });
  expect(world.market).toMatchObject({
    offers: [{ priceMicroUsdPerHour: 3_000_000, bootMs: 150_000 }],
    bootSpreadFraction: 0.2,
    events: [],
  });
});

test("a command may lay its own trace, offers, hours and scale over a scenario", () => {
  const trace: DemandTrace = {
    name: "own",
    source: "test",
    stepMs: 600_000,
    windowMs: 600_000,
    series: [{ functionId: "other", perSecond: Float64Array.of(1, 2, 3) }],
    imputed: new Uint8Array(3),
  };
  const offers = [testOffer()];
  const world = scenarioOf(SMALL, "s.yaml", { trace, offers, hours: 1 / 3, scale: 10 });
  expect([...(world.trace.series[0]?.perSecond ?? [])]).toEqual([10, 20]);
  expect(world.functions).toMatchObject([{ functionId: "other", service: { meanMs: 10_000 } }]);
  expect(world.market.offers).toEqual(offers);
});

test("copies share the demand of their function", () => {
  const world = scenarioOf(SMALL.replace("- id: chat", "- id: chat\n    copies: 2"), "s.yaml");
  expect(world.functions.map(({ functionId }) => functionId)).toEqual(["chat-1", "chat-2"]);
  const [first, second] = world.trace.series.map(({ perSecond }) => perSecond[0] ?? 0);
  expect(first).toBeCloseTo(2, 9);
  expect(second).toBeCloseTo(1, 9);
});

const withEvent = (event: string): string => `${SMALL}  events:\n    - ${event}\n`;

test.each([
  ["", "s.yaml"],
  ["name: [", "s.yaml"],
  [SMALL.replace("hours: 2", "hours: 0"), "line 4, column 8: hours: takes a number above 0"],
  [SMALL.replace("hours: 2", "hors: 2"), "hors: unknown key; did you mean hours?"],
  [SMALL.replace("[H100]", "[H1OO]"), "functions[0].gpu[0]: takes one of T4, L4"],
  [SMALL.replace("    serviceSeconds: 10\n", ""), "functions[0].serviceSeconds: is missing"],
  [SMALL.replace("hours: 2", "hours: 2\nstepSeconds: 7"), "600 is no whole number of steps of 7 s"],
  [SMALL.replace("[H100]", "[H100]\n    gpuCount: 1.5"), "chat has 1.5 GPUs"],
  [`${SMALL.split("market:")[0] ?? ""}market: {}\n`, "market: has neither machines nor a catalog"],
  [
    SMALL.replace(
      "{ meanPerSecond: 3 }",
      "{ meanPerSecond: 3, level: [{ hour: 2, factor: 1 }, { hour: 1, factor: 2 }] }",
    ),
    "the level of chat must be ascending by hour",
  ],
  [withEvent("{ kind: price, atHours: 1 }"), "market.events[0]: a price event needs factor"],
  [
    withEvent("{ kind: price, atHours: 1, factor: 2, fraction: 0.5 }"),
    "market.events[0].fraction: a price event has no fraction: remove it",
  ],
  [
    withEvent("{ kind: outage, atHours: 1, untilHours: 1 }"),
    "market.events[0].untilHours: must be after atHours (1)",
  ],
  [
    withEvent("{ kind: outage, atHours: 1, untilHours: 2, match: { region: us-east-1 } }"),
    "an outage is of a whole cloud: it has no region",
  ],
  [
    withEvent("{ kind: reclaim, atHours: 1, fraction: 1, match: { region: us-east-2 } }"),
    'market.events[0].match: {"region":"us-east-2"} fits none of the offers',
  ],
  [
    `${SMALL}  zoneLosses: { zones: [moon], everyHours: 1, fraction: 1 }\n`,
    "no offer is in the zone moon",
  ],
])("refuses %j", (text, message) => {
  expect(refusalOf(text)).toContain(message);
});
