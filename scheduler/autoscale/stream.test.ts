import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ScaleRules } from "./function-state.ts";
import { DEFAULT_SCALE_RULES } from "./scale.ts";
import { simulateStream, STEP_MS, type StreamSetting } from "./simulate-stream.ts";
import { burstyStream, idealStarts, periodicStream, ratedStream } from "./streams.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

const anySetting: fc.Arbitrary<StreamSetting> = fc
  .record({
    gaps: fc.array(fc.nat(40_000), { minLength: 1, maxLength: 40 }),
    runMs: fc.integer({ min: 0, max: 20_000 }),
    startupMs: fc.constantFrom(100, 2_000, 30_000),
    minContainers: fc.nat(2),
    bufferContainers: fc.nat(2),
    maxContainers: fc.integer({ min: 1, max: 6 }),
    scaledownWindowMs: fc.constantFrom(2_000, 60_000),
    concurrency: fc.constantFrom({ target: 1, max: 1 }, { target: 3, max: 5 }),
  })
  .map(({ gaps, runMs, startupMs, ...spec }) => {
    let atMs = 0;
    const inputs = gaps.map((gapMs) => ({ atMs: (atMs += gapMs), runMs }));
    const endMs = atMs + gaps.length * (runMs + startupMs) + 3 * MINUTE_MS;
    return { inputs, startupMs, function: spec, endMs };
  });

test("every input is served, and idle containers end after their window down to the floor", () => {
  fc.assert(
    fc.property(anySetting, (setting) => {
      const outcome = simulateStream(setting);
      expect(outcome.waitsMs).toHaveLength(setting.inputs.length);
      expect(outcome.overstayMsMax).toBeLessThanOrEqual(STEP_MS);
      const { minContainers = 0, maxContainers = 0 } = setting.function ?? {};
      expect(outcome.left).toBe(Math.min(minContainers, maxContainers));
    }),
    { numRuns: 40 },
  );
});

test("a noisy steady load does not flap: starts stay below those of one who knows it all", () => {
  let starts = 0;
  let ideal = 0;
  for (const seed of [1, 2, 3]) {
    const inputs = ratedStream({ seed, durationMs: 70 * MINUTE_MS, runMs: 1_000 }, () => 5);
    const countFromMs = 10 * MINUTE_MS;
    const outcome = simulateStream({
      inputs,
      startupMs: 2_000,
      countFromMs,
      endMs: 70 * MINUTE_MS,
    });
    starts += outcome.starts;
    ideal += idealStarts(inputs, MINUTE_MS, countFromMs);
    expect(outcome.starts).toBeLessThanOrEqual(6);
  }
  expect(starts).toBeLessThan(ideal / 4);
});

test("bursts cost at most a third more starts than one makes who knows them all", () => {
  const shape = { seed: 1, durationMs: HOUR_MS, runMs: 1_000 };
  const rates = { quiet: 0.5, burst: 20 };
  const inputs = burstyStream(shape, rates, { burstMs: MINUTE_MS, meanGapMs: 10 * MINUTE_MS });
  const ideal = idealStarts(inputs, MINUTE_MS, 0);
  for (const startupMs of [2_000, 20_000]) {
    const { starts } = simulateStream({ inputs, startupMs });
    expect(starts).toBeLessThanOrEqual(1.34 * ideal + 2);
  }
});

interface Measured {
  readonly meanWaitMs: number;
  readonly containerMs: number;
}

function measured(setting: StreamSetting, rules: Partial<ScaleRules>): Measured {
  const endMs = (setting.inputs.at(-1)?.atMs ?? 0) + 5 * MINUTE_MS;
  const outcome = simulateStream({
    ...setting,
    endMs,
    rules: { ...DEFAULT_SCALE_RULES, ...rules },
  });
  const waited = outcome.waitsMs.reduce((sum, waitMs) => sum + waitMs, 0);
  expect(outcome.waitsMs).toHaveLength(setting.inputs.length);
  return { meanWaitMs: waited / outcome.waitsMs.length, containerMs: outcome.containerMs };
}

describe("each rule pays where it acts", () => {
  const startupMs = 20_000;

  test("counting what arrives: a load that rises waits a tenth, for a fifth more time", () => {
    const shape = { seed: 1, durationMs: HOUR_MS / 2, runMs: 1_000 };
    const inputs = ratedStream(shape, (atMs) => (20 * atMs) / shape.durationMs);
    const without = measured({ inputs, startupMs }, { arrivalRate: false });
    const with_ = measured({ inputs, startupMs }, { panic: false });
    expect(with_.meanWaitMs).toBeLessThan(without.meanWaitMs / 10);
    expect(with_.containerMs).toBeLessThan(without.containerMs * 1.2);
  });

  test("panic: bursts wait less than three quarters, for no more time", () => {
    const shape = { seed: 1, durationMs: HOUR_MS, runMs: 1_000 };
    const rates = { quiet: 0.5, burst: 20 };
    const inputs = burstyStream(shape, rates, { burstMs: MINUTE_MS, meanGapMs: 10 * MINUTE_MS });
    const without = measured({ inputs, startupMs }, { panic: false });
    const with_ = measured({ inputs, startupMs }, {});
    expect(with_.meanWaitMs).toBeLessThan(0.75 * without.meanWaitMs);
    expect(with_.containerMs).toBeLessThan(without.containerMs);
  });

  test("prediction: what comes by a timer waits a quarter, for a twentieth more time", () => {
    const shape = { seed: 1, durationMs: 4 * HOUR_MS, runMs: 1_000 };
    const every = { everyMs: 5 * MINUTE_MS, jitterMs: 500, inputs: 3 };
    const inputs = periodicStream(shape, every);
    const without = measured({ inputs, startupMs }, { prediction: false });
    const with_ = measured({ inputs, startupMs }, {});
    expect(with_.meanWaitMs).toBeLessThan(without.meanWaitMs / 4);
    expect(with_.containerMs).toBeLessThan(without.containerMs * 1.05);
  });

  test("prediction keeps out where it does not pay: random calls cost the same without it", () => {
    for (const seed of [1, 2]) {
      const inputs = ratedStream({ seed, durationMs: 2 * HOUR_MS, runMs: 1_000 }, () => 1 / 150);
      const without = measured({ inputs, startupMs: 2_000 }, { prediction: false });
      const with_ = measured({ inputs, startupMs: 2_000 }, {});
      expect(with_.containerMs).toBeLessThanOrEqual(without.containerMs * 1.02);
    }
  });
});
