import { expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { nextGain } from "./feedback.ts";
import { offeredLoad } from "./offered-load.ts";

const STEP_MS = 10 * MS_PER_MINUTE;

test("the gain rises when too much waits, falls when too little does, and rests at the target", () => {
  expect(nextGain(1, { missFraction: 0.005, elapsedMs: STEP_MS })).toBe(1);
  expect(nextGain(1, { missFraction: 0.01, elapsedMs: STEP_MS })).toBeCloseTo(Math.exp(0.004), 12);
  expect(nextGain(1, { missFraction: 0, elapsedMs: STEP_MS })).toBeCloseTo(Math.exp(-0.004), 12);
});

test("large misses count in full, within the bounds of the gain", () => {
  expect(nextGain(1, { missFraction: 0.5, elapsedMs: STEP_MS })).toBeCloseTo(Math.exp(0.396), 12);
  expect(nextGain(2, { missFraction: 1, elapsedMs: MS_PER_HOUR })).toBe(2.5);
  expect(nextGain(0.31, { missFraction: 0, elapsedMs: 100 * MS_PER_HOUR })).toBe(0.3);
});

test("two short steps are one long one", () => {
  const misses = { missFraction: 0.02, elapsedMs: STEP_MS };
  const twice = nextGain(nextGain(1, misses), misses);
  expect(twice).toBeCloseTo(nextGain(1, { ...misses, elapsedMs: 2 * STEP_MS }), 12);
});

test("arrivals keep as many containers busy as inputs are under way, and some for the backlog", () => {
  expect(offeredLoad({ inputsPerSecond: 5, serviceMs: 2_000, backlogCount: 0 })).toBe(10);
  const backlog = (serviceMs: number): number =>
    offeredLoad({ inputsPerSecond: 0, serviceMs, backlogCount: 30 });
  expect([1_000, 10_000, 30_000, 600_000].map(backlog)).toEqual([0.5, 5, 15, 30]);
});
