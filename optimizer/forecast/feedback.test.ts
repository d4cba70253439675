import { expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { nextGain } from "./feedback.ts";
import { backlogLoad, offeredLoad } from "./offered-load.ts";

const STEP_MS = 10 * MS_PER_MINUTE;

const LONG_AGO = { elapsedMs: STEP_MS, learntMs: 1e12 };

test("the gain rises when too much waits, falls when too little does, and rests at the target", () => {
  expect(nextGain(1, { ...LONG_AGO, missFraction: 0.005 })).toBe(1);
  expect(nextGain(1, { ...LONG_AGO, missFraction: 0.01 })).toBeCloseTo(Math.exp(0.0015), 12);
  expect(nextGain(1, { ...LONG_AGO, missFraction: 0 })).toBeCloseTo(Math.exp(-0.0015), 12);
});

test("large misses count in full, within the bounds of the gain", () => {
  const much = { ...LONG_AGO, missFraction: 0.5 };
  expect(nextGain(1, much)).toBeCloseTo(Math.exp(0.0015 * 99), 12);
  expect(nextGain(2, { ...much, missFraction: 1, elapsedMs: MS_PER_HOUR })).toBe(2.5);
  const none = { missFraction: 0, elapsedMs: 300 * MS_PER_HOUR, learntMs: 1e12 };
  expect(nextGain(0.31, none)).toBe(0.3);
});

test("corrections are large at first and ever smaller, down to a least size", () => {
  const after = (steps: number): number =>
    Math.log(nextGain(1, { missFraction: 0.01, elapsedMs: STEP_MS, learntMs: steps * STEP_MS }));
  expect([0, 1, 62, 100, 250, 334, 1e6].map(after).map((rate) => Number(rate.toFixed(6)))).toEqual([
    0.008, 0.008, 0.008, 0.005, 0.002, 0.0015, 0.0015,
  ]);
});

test("two short steps are one long one", () => {
  const misses = { ...LONG_AGO, missFraction: 0.02 };
  const twice = nextGain(nextGain(1, misses), misses);
  expect(twice).toBeCloseTo(nextGain(1, { ...misses, elapsedMs: 2 * STEP_MS }), 12);
});

test("arrivals keep as many containers busy as inputs are under way, and some for the backlog", () => {
  expect(offeredLoad(5, 2_000)).toBe(10);
  const backlog = (serviceMs: number): number => backlogLoad(30, serviceMs);
  expect([1_000, 10_000, 30_000, 600_000].map(backlog)).toEqual([0.5, 5, 15, 30]);
});
