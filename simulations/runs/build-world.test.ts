import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY, MS_PER_HOUR, PlatformError } from "../../core/index.ts";
import { durationMsOf } from "../traces/trace.ts";
import type { World } from "../world.ts";
import { buildWorld } from "./build-world.ts";
import { peakGpusOf } from "./peak.ts";
import { SIMULATED_POLICY, type RunSpec } from "./run-spec.ts";

const SCENARIO = `
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
const ROWS = Array.from({ length: 36 }, (_, index) => `${index * 600},${100 + index * 10}`);
const SERVEGEN = ["window_start_s,total_rate_rps", ...ROWS].join("\n");
const CSV = "time_s,function,rate_rps\n0,a,1\n0,b,2\n600,a,3\n600,b,4\n";
const AZURE = [
  "TIMESTAMP,ContextTokens,GeneratedTokens",
  ...Array.from({ length: 20 }, (_, minute) => {
    const text = String(minute).padStart(2, "0");
    return `2023-11-16 18:${text}:00.0000000,400,${50 + minute}`;
  }),
].join("\n");
const SYNTHETIC = `
hours: 4
functions:
  - { id: chat, demand: { meanPerSecond: 5, day: { amplitude: 0.5, peakHour: 2 } } }
  - { id: embed, demand: { meanPerSecond: 1 } }
`;
const OFFERS =
  "cloud,region,instance_type,purchase,gpu,gpu_count,cpu_milli,memory_mib,usd_per_hour\n" +
  "aws,us-east-1,p5,on-demand,H100,8,192000,2097152,40\n" +
  "aws,us-east-1,g4,on-demand,T4,1,4000,16384,0.5\n";
const SPOT = '{"metadata": {"gap_seconds": 600},\n "data": [0, 1, 1, 0, 1, 1]}';

const FILES: Readonly<Record<string, string>> = {
  "s.yaml": SCENARIO,
  "bad.yaml": SCENARIO.replace("hours: 2", "hours: two"),
  "m_aggregate.csv.gz": SERVEGEN,
  "torn.csv": SERVEGEN.replace("1200,", "1300,"),
  "zero.csv": SERVEGEN.replaceAll(/,\d+$/gm, ",0"),
  "own.csv": CSV,
  "requests.csv": AZURE,
  "synthetic.yaml": SYNTHETIC,
  "twice.yaml": SYNTHETIC.replace("id: embed", "id: chat"),
  "offers.csv": OFFERS,
  "zone_us-west-2b_v100.json": SPOT,
  "none.json": SPOT.replaceAll("1,", "0,").replaceAll("1]", "0]"),
};

function worldOf(spec: RunSpec): World {
  return buildWorld(spec, (file) => {
    const text = FILES[file];
    if (text !== undefined) return text;
    throw new PlatformError(`cannot read ${file}`, { code: "invalid_request", retryable: false });
  });
}

const SERVEGEN_TRACE = { file: "m_aggregate.csv.gz", format: "servegen" } as const;

describe("a trace's world", () => {
  test("is scaled to a peak of 1,000 GPUs where it is of a whole service, and follows a path", () => {
    const world = worldOf({ trace: SERVEGEN_TRACE });
    expect(world.name).toBe("m, peak 1,000 GPUs");
    expect(world.trace).toMatchObject({ stepMs: 10_000, windowMs: 600_000 });
    expect(durationMsOf(world.trace)).toBe(6 * MS_PER_HOUR);
    const stepped = worldOf({ trace: SERVEGEN_TRACE, path: "step" });
    expect(peakGpusOf(stepped.trace, stepped.functions)).toBeCloseTo(1_000, 6);
    expect(world.policy).toEqual(SIMULATED_POLICY);
    expect(world.market.offers).toMatchObject([
      { purchase: "on-demand", gpuType: "H100", resources: { gpuCount: 1 }, bootMs: 150_000 },
    ]);
  });

  test("keeps its own rates when a factor is given", () => {
    const world = worldOf({ trace: SERVEGEN_TRACE, scale: 0.5, path: "step" });
    expect(world.trace.series[0]?.perSecond[0]).toBe(50);
  });

  test("is the same hours of the same path, whatever part of it is flown", () => {
    const whole = worldOf({ trace: SERVEGEN_TRACE }).trace.series[0]?.perSecond ?? [];
    const part = worldOf({ trace: SERVEGEN_TRACE, fromHours: 2, hours: 1 });
    expect([...(part.trace.series[0]?.perSecond ?? [])]).toEqual([...whole.slice(720, 1_080)]);
  });

  test("has the functions that its table names, alike but for their demand", () => {
    const world = worldOf({ trace: { file: "own.csv", format: "csv" }, serviceMeanMs: 2_000 });
    expect(world.functions).toMatchObject([
      { functionId: "a", service: { meanMs: 2_000, sigma: 1 } },
      { functionId: "b", service: { meanMs: 2_000, sigma: 1 } },
    ]);
    expect([...(world.trace.series[1]?.perSecond ?? [])]).toEqual([2, 4]);
  });

  test("runs as long as its requests do, and over again when it is too short", () => {
    const trace = { file: "requests.csv", format: "azure-llm" } as const;
    const world = worldOf({ trace, hours: 2 });
    expect(durationMsOf(world.trace)).toBe(2 * MS_PER_HOUR);
    const meanMs = world.functions[0]?.service.meanMs ?? 0;
    expect(meanMs).toBeGreaterThan(2_000);
    expect(meanMs).toBeLessThan(3_000);
  });

  test("is made of stated parameters", () => {
    const world = worldOf({ trace: { file: "synthetic.yaml", format: "synthetic" } });
    expect(world.name).toBe("synthetic");
    expect(durationMsOf(world.trace)).toBe(4 * MS_PER_HOUR);
    const rates = world.trace.series[0]?.perSecond ?? new Float64Array();
    expect(Math.max(...rates)).toBeCloseTo(7.5, 2);
  });

  test("is shared out without a change of the whole", () => {
    const one = worldOf({ trace: SERVEGEN_TRACE });
    const many = worldOf({ trace: SERVEGEN_TRACE, functions: 20 });
    expect(many.functions).toHaveLength(20);
    const sum = many.trace.series.reduce((total, { perSecond }) => total + (perSecond[7] ?? 0), 0);
    expect(sum).toBeCloseTo(one.trace.series[0]?.perSecond[7] ?? 0, 9);
  });

  test("rents what a table has, as far as it has the GPU", () => {
    const world = worldOf({ trace: SERVEGEN_TRACE, catalog: "offers.csv", bootMs: 60_000 });
    expect(world.market.offers).toMatchObject([{ instanceType: "p5", bootMs: 60_000 }]);
    const builtin = worldOf({ trace: SERVEGEN_TRACE, catalog: "builtin", gpu: "L4" });
    expect(new Set(builtin.market.offers.map(({ gpuType }) => gpuType))).toEqual(new Set(["L4"]));
    expect(builtin.market.offers.length).toBeGreaterThan(10);
  });
});

describe("spot machines", () => {
  test("of a calm market: six zones at 0.4 of the price, each for 30 % of the peak", () => {
    const { market } = worldOf({ trace: SERVEGEN_TRACE, spot: { kind: "calm" } });
    const spot = market.offers.filter(({ purchase }) => purchase === "spot");
    expect(spot).toHaveLength(6);
    const base = market.offers[0]?.priceMicroUsdPerHour ?? 0;
    for (const { priceMicroUsdPerHour, nodeCountMax } of spot) {
      expect(priceMicroUsdPerHour).toBe(Math.round(0.4 * base));
      // Within windows the path goes a little higher, or not quite so high.
      expect(nodeCountMax).toBeGreaterThan(270);
      expect(nodeCountMax).toBeLessThan(330);
    }
  });

  test("of measured zones: a trace for each, its hours those of the demand", () => {
    const files = ["zone_us-west-2b_v100.json"];
    const whole = worldOf({ trace: SERVEGEN_TRACE, spot: { kind: "measured", files } });
    const [spot] = whole.market.offers.filter(({ purchase }) => purchase === "spot");
    expect(spot).toMatchObject({ zone: "us-west-2b", region: "us-west-2" });
    // Of four machine-steps of ten minutes, one ended in a loss: 1 - exp(-1 / (4 / 6 h)).
    expect(spot?.reclaimFractionPerHour).toBeCloseTo(1 - Math.exp(-1.5), 9);
    const [trace] = whole.market.availability;
    expect(trace?.offerIds).toEqual([spot?.offerId]);
    const later = worldOf({
      trace: SERVEGEN_TRACE,
      spot: { kind: "measured", files },
      fromHours: 0.5,
    });
    expect(later.market.availability[0]?.nodeCounts).toEqual([
      ...(trace?.nodeCounts.slice(3) ?? []),
      ...(trace?.nodeCounts.slice(0, 3) ?? []),
    ]);
  });
});

describe("a scenario's world", () => {
  test("keeps what the spec does not say, and gets what it says", () => {
    const world = worldOf({ scenario: "s.yaml", bootMs: 1_000, evictsIdle: false, arrivalCv: 2 });
    expect(world).toMatchObject({ evictsIdle: false, arrivalCv: 2, controlMs: 10_000 });
    expect(world.market.offers).toMatchObject([{ instanceType: "p5", bootMs: 1_000 }]);
    expect(worldOf({ scenario: "s.yaml", policy: DEFAULT_POLICY }).policy).toEqual(DEFAULT_POLICY);
  });

  test("may have the demand of a trace", () => {
    const world = worldOf({ scenario: "s.yaml", trace: { file: "own.csv", format: "csv" } });
    expect(world.functions).toMatchObject([
      { functionId: "a", service: { meanMs: 10_000 } },
      { functionId: "b" },
    ]);
  });

  test.each(readdirSync(new URL("../../examples/scenarios/", import.meta.url)))(
    "%s can be cut, scaled and given spot machines",
    (file) => {
      const path = new URL(`../../examples/scenarios/${file}`, import.meta.url);
      const spec: RunSpec = { scenario: file, hours: 1, fromHours: 1, peakGpus: 50 };
      const world = buildWorld(spec, () => readFileSync(path, "utf8"));
      expect(durationMsOf(world.trace)).toBeCloseTo(MS_PER_HOUR, -6);
      expect(world.market.events.every(({ atMs }) => atMs >= 0)).toBe(true);
    },
  );
});

const S = { scenario: "s.yaml" } as const;
test.each<[string, RunSpec]>([
  ["needs a trace or a scenario", {}],
  ["cannot read nowhere.yaml", { scenario: "nowhere.yaml" }],
  ["bad.yaml, line 4, column 8: hours: takes a number", { scenario: "bad.yaml" }],
  ["torn.csv, line 4", { trace: { file: "torn.csv", format: "servegen" } }],
  ["time_s is missing", { trace: { file: "torn.csv", format: "csv" } }],
  ["asks for nothing at all", { trace: { file: "zero.csv", format: "servegen" } }],
  ["chat is there twice", { trace: { file: "twice.yaml", format: "synthetic" } }],
  ["by a factor or to a peak, not both", { ...S, scale: 2, peakGpus: 10 }],
  ["scale must be from", { ...S, scale: 0 }],
  ["hours must be from", { ...S, hours: 0 }],
  ["nothing up to hour 3;", { ...S, hours: 3 }],
  ["nothing from hour 2;", { ...S, fromHours: 2 }],
  ["no whole number of functions", { trace: SERVEGEN_TRACE, functions: 1.5 }],
  ["leave functions out", { ...S, functions: 2 }],
  ["leave gpu out", { ...S, gpu: "H100" }],
  ["no windows that a path leads through", { ...S, path: "linear" }],
  [
    "none of the 2 offers of offers.csv has B200",
    {
      trace: SERVEGEN_TRACE,
      catalog: "offers.csv",
      gpu: "B200",
    },
  ],
  ["line 1", { ...S, catalog: "own.csv" }],
  ["metadata: is missing", { ...S, spot: { kind: "measured", files: ["s.yaml"] } }],
  ["shows no machine at any time", { ...S, spot: { kind: "measured", files: ["none.json"] } }],
  [
    "leave one out",
    {
      ...S,
      spot: { kind: "measured", files: ["zone_us-west-2b_v100.json", "zone_us-west-2b_v100.json"] },
    },
  ],
])("a spec that nobody can fly is refused: %s", (expected, spec) => {
  let error: unknown;
  try {
    worldOf(spec);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(PlatformError);
  expect(error).toMatchObject({ code: "invalid_request" });
  expect(error instanceof Error ? error.message : "").toContain(expected);
});
