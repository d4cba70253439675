import fc from "fast-check";
import { expect, test } from "vitest";
import { GPU_TYPES } from "../../core/index.ts";
import type { FunctionSpec } from "../../sdk/protocol/index.ts";
import { needsOf, normaliseSpec, parseGpuChoice } from "./normalise-spec.ts";
import { functionSpecSchema } from "./spec-schema.ts";

test("the network is nothing in one spelling, or the hosts of the list", () => {
  for (const network of [{ egress: "none" }, { block: true }] as const) {
    expect(normaliseSpec({ network }).network).toEqual({ egress: "none" });
  }
  const network = { allowHosts: ["*.example.com"] };
  expect(normaliseSpec({ network }).network).toEqual(network);
});

test("an empty spec gets every default", () => {
  expect(normaliseSpec({})).toEqual({
    cpuMilli: 125,
    memoryMiB: 256,
    retries: { count: 0, initialDelayMs: 1_000, backoff: 2, maxDelayMs: 60_000 },
    timeoutMs: 300_000,
    startupTimeoutMs: 300_000,
    scaledownWindowMs: 60_000,
    minContainers: 0,
    maxContainers: 100,
    bufferContainers: 0,
    maxConcurrentInputs: 1,
    targetConcurrentInputs: 1,
    singleUse: false,
    preemptible: true,
    priority: 0,
    enableMemorySnapshot: false,
    network: { egress: "none" },
    tags: {},
    secrets: [],
    volumes: [],
    env: {},
  });
});

test("a list of GPUs keeps its order of preference and its one count", () => {
  expect(normaliseSpec({ gpu: ["H200:2", "H100:2"] }).gpu).toEqual({
    types: ["H200", "H100"],
    count: 2,
  });
});

test("the start may take as long as a run unless the spec says", () => {
  expect(normaliseSpec({ timeoutMs: 5_000 }).startupTimeoutMs).toBe(5_000);
  expect(normaliseSpec({ timeoutMs: 5_000, startupTimeoutMs: 9_000 }).startupTimeoutMs).toBe(9_000);
});

test("more kept containers than the default maximum raise the maximum", () => {
  expect(normaliseSpec({ minContainers: 150 }).maxContainers).toBe(150);
});

test("scaling aims at as many inputs per container as may run at once, unless the spec says", () => {
  expect(normaliseSpec({ maxConcurrentInputs: 8 }).targetConcurrentInputs).toBe(8);
  const aimed = normaliseSpec({ maxConcurrentInputs: 8, targetConcurrentInputs: 5 });
  expect(aimed).toMatchObject({ maxConcurrentInputs: 8, targetConcurrentInputs: 5 });
});

test("a container of a batched function takes as many inputs as a batch has", () => {
  const batched = { maxBatchSize: 16, waitMs: 50 };
  const size = { maxConcurrentInputs: 16, targetConcurrentInputs: 16 };
  expect(normaliseSpec({ batched })).toMatchObject({ batched, ...size });
});

test("needs carry GPUs, sizes and places and nothing else", () => {
  const spec = normaliseSpec({ gpu: "L4", cpu: 0.25, regions: ["us-east-1"], env: { A: "1" } });
  expect(needsOf(spec)).toEqual({
    gpu: { types: ["L4"], count: 1 },
    cpuMilli: 250,
    memoryMiB: 256,
    regions: ["us-east-1"],
    preemptible: true,
  });
});

test("what is reserved is what is needed of a node; limits are beside it, where they are said", () => {
  const both = normaliseSpec({
    cpu: { request: 0.25, limit: 1.5 },
    memoryMiB: { request: 128, limit: 1_024 },
  });
  expect(both.limits).toEqual({ cpuMilli: 1_500, memoryMiB: 1_024 });
  expect(needsOf(both)).toEqual({ cpuMilli: 250, memoryMiB: 128, preemptible: true });
  const one = normaliseSpec({ cpu: 2, memoryMiB: { request: 128, limit: 256 } });
  expect(one).toMatchObject({ cpuMilli: 2_000, memoryMiB: 128, limits: { memoryMiB: 256 } });
  expect(one.limits).not.toHaveProperty("cpuMilli");
  expect(normaliseSpec({ cpu: 2, memoryMiB: 128 })).not.toHaveProperty("limits");
});

const gpuType = fc.constantFrom(...GPU_TYPES);
const anySpec: fc.Arbitrary<FunctionSpec> = fc.record(
  {
    gpu: fc
      .tuple(
        fc.uniqueArray(gpuType, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 8 }),
      )
      .map(([types, count]) => types.map((type) => `${type}:${count}` as `${typeof type}:1`)),
    cpu: fc.double({ min: 0.1, max: 64, noNaN: true }),
    memoryMiB: fc.integer({ min: 64, max: 524_288 }),
    timeoutMs: fc.integer({ min: 1_000, max: 86_400_000 }),
    minContainers: fc.integer({ min: 0, max: 50 }),
    maxContainers: fc.integer({ min: 50, max: 4_000 }),
    preemptible: fc.boolean(),
    priority: fc.integer({ min: -100, max: 100 }),
    enableMemorySnapshot: fc.boolean(),
  },
  { requiredKeys: [] },
);

test("whatever the schema takes is normalised within its ranges", () => {
  fc.assert(
    fc.property(anySpec, (spec) => {
      const checked = functionSpecSchema.parse(spec);
      expect(checked).toEqual(spec);
      const normal = normaliseSpec(checked);
      expect(normal.cpuMilli).toBeGreaterThanOrEqual(100);
      expect(Number.isInteger(normal.cpuMilli)).toBe(true);
      expect(normal.minContainers).toBeLessThanOrEqual(normal.maxContainers);
      expect(normal.gpu?.types.length ?? 1).toBeGreaterThan(0);
    }),
  );
});

test("a text is a GPU choice exactly when it is a known type with a count of 1 to 8", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), gpuType),
      fc.option(fc.integer(), { nil: undefined }),
      (a, n) => {
        const text = n === undefined ? a : `${a}:${n}`;
        const known = GPU_TYPES.some((type) => type === a) && (n ?? 1) >= 1 && (n ?? 1) <= 8;
        fc.pre(!a.includes(":"));
        expect(parseGpuChoice(text) !== undefined).toBe(known);
      },
    ),
  );
});

test("retries are a count, or a rule of which the rest has defaults", () => {
  const rule = { initialDelayMs: 1_000, backoff: 2, maxDelayMs: 60_000 };
  expect(normaliseSpec({ retries: 3 }).retries).toEqual({ ...rule, count: 3 });
  const given = { count: 1, backoff: 1.5 };
  expect(normaliseSpec({ retries: given }).retries).toEqual({ ...rule, ...given });
});
