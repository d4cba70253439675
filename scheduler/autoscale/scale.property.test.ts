import fc from "fast-check";
import { expect, test } from "vitest";
import type { FunctionState, ScaledContainer } from "./function-state.ts";
import { scale } from "./scale.ts";

const NOW_MS = 3_600_000;

const anyContainers: fc.Arbitrary<readonly ScaledContainer[]> = fc
  .array(fc.tuple(fc.constantFrom("starting", "idle", "busy"), fc.nat(120_000)), { maxLength: 15 })
  .map((kinds) =>
    kinds.map(([kind, sinceMs], index) => ({
      containerId: `co_${index}`,
      state: kind,
      ...(kind === "idle" ? { idleSinceMs: NOW_MS - sinceMs } : {}),
      ...(kind === "busy" ? { runsSinceMs: NOW_MS - sinceMs } : {}),
    })),
  );

const anyHistory = fc.record({
  perSecond: fc.array(fc.nat(30), { minLength: 60, maxLength: 60 }),
  awakenings: fc
    .array(fc.record({ gapMs: fc.integer({ min: 2_000, max: 600_000 }), inputs: fc.nat(20) }), {
      maxLength: 12,
    })
    .map((gaps) => {
      let atMs = NOW_MS - gaps.reduce((sum, { gapMs }) => sum + gapMs, 0);
      return gaps.map(({ gapMs, inputs }) => ({ atMs: (atMs += gapMs), inputs }));
    }),
});

const anyState: fc.Arbitrary<FunctionState> = fc
  .record({
    fixed: fc.record({
      minContainers: fc.nat(4),
      maxContainers: fc.nat(12),
      bufferContainers: fc.nat(3),
      scaledownWindowMs: fc.constantFrom(2_000, 60_000),
      backlog: fc.nat(50),
      running: fc.nat(10),
      containers: anyContainers,
    }),
    sometimes: fc.record(
      {
        serviceMs: fc.integer({ min: 0, max: 5_000 }),
        startupMs: fc.integer({ min: 0, max: 60_000 }),
        lastActiveAtMs: fc.integer({ min: NOW_MS - 120_000, max: NOW_MS }),
        concurrency: fc.record({
          target: fc.integer({ min: 1, max: 8 }),
          max: fc.integer({ min: 8, max: 16 }),
        }),
        batch: fc.record({ sizeMax: fc.integer({ min: 1, max: 20 }), waitMs: fc.nat(5_000) }),
        arrivals: anyHistory,
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ fixed, sometimes }) => ({ functionId: "fn_1", ...fixed, ...sometimes }));

function holds(name: string, check: (state: FunctionState) => void): void {
  test(name, () => {
    fc.assert(fc.property(anyState, check), { numRuns: 500 });
  });
}

holds("what is wanted lies between the floor and the limit", (state) => {
  const { wanted } = scale(state, NOW_MS);
  expect(wanted).toBeLessThanOrEqual(state.maxContainers);
  expect(wanted).toBeGreaterThanOrEqual(Math.min(state.minContainers, state.maxContainers));
});

holds("a decision starts what is missing or stops what is idle, never both", (state) => {
  const { wanted, start, stop } = scale(state, NOW_MS);
  const held = state.containers.length;
  expect(start).toBe(Math.max(0, wanted - held));
  expect(start === 0 || stop.length === 0).toBe(true);
  expect(held - stop.length).toBeGreaterThanOrEqual(Math.min(wanted, held));
  expect(new Set(stop).size).toBe(stop.length);
});

holds("only idle containers end: after their window, or at once above the limit", (state) => {
  const { stop } = scale(state, NOW_MS);
  const overLimit = Math.max(0, state.containers.length - state.maxContainers);
  for (const [position, containerId] of stop.entries()) {
    const ended = state.containers.find((one) => one.containerId === containerId);
    expect(ended?.state).toBe("idle");
    const idleMs = NOW_MS - (ended?.idleSinceMs ?? NOW_MS);
    if (position >= overLimit) expect(idleMs).toBeGreaterThanOrEqual(state.scaledownWindowMs);
  }
});

holds("more backlog never wants fewer containers", (state) => {
  const more = { ...state, backlog: state.backlog + 1 };
  expect(scale(more, NOW_MS).wanted).toBeGreaterThanOrEqual(scale(state, NOW_MS).wanted);
});

holds("the buffer adds to what is wanted only while the function is active", (state) => {
  const without = scale({ ...state, bufferContainers: 0 }, NOW_MS).wanted;
  const { lastActiveAtMs = -Infinity, scaledownWindowMs } = state;
  const isActive = state.backlog + state.running > 0 || NOW_MS - lastActiveAtMs < scaledownWindowMs;
  const { wanted } = scale(state, NOW_MS);
  if (!isActive) expect(wanted).toBe(without);
  expect(wanted).toBeLessThanOrEqual(without + state.bufferContainers);
});

holds("equal states give equal decisions, and are left as they were", (state) => {
  const before = JSON.stringify(state);
  expect(scale(state, NOW_MS)).toEqual(scale(structuredClone(state), NOW_MS));
  expect(JSON.stringify(state)).toBe(before);
});
