import fc from "fast-check";
import { expect, test } from "vitest";
import { heldCount, holdPlan, isHeldFor, NO_PLAN_HELD } from "./held-plan.ts";

const HOLD_MS = 100;

test("what is held is the most that was wanted within the hold", () => {
  const looks = fc.array(
    fc.record({ gapMs: fc.integer({ min: 0, max: 60 }), count: fc.integer({ min: 0, max: 9 }) }),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(looks, (given) => {
      let held = NO_PLAN_HELD;
      let nowMs = 1_000;
      const seen: { atMs: number; count: number }[] = [];
      for (const { gapMs, count } of given) {
        nowMs += gapMs;
        seen.push({ atMs: nowMs, count });
        const lines = count === 0 ? [] : [{ offerId: "x", count, reason: "demand" }];
        held = holdPlan(held, lines, { nowMs, holdMs: HOLD_MS });
        const within = seen.filter(({ atMs }) => nowMs - atMs < HOLD_MS);
        expect(heldCount(held, "x")).toBe(Math.max(...within.map((one) => one.count)));
      }
    }),
  );
});

test("offers that nothing wants any more are forgotten, also when the clock is set back", () => {
  const line = { offerId: "x", count: 3, reason: "demand" };
  const held = holdPlan(NO_PLAN_HELD, [line], { nowMs: 1_000, holdMs: HOLD_MS });
  expect(holdPlan(held, [], { nowMs: 1_100, holdMs: HOLD_MS }).wanted.size).toBe(0);
  expect(holdPlan(held, [], { nowMs: 500, holdMs: HOLD_MS }).wanted.size).toBe(0);
});

test("plans are remembered for a hold only when none was missing for as long, by any clock", () => {
  const after = (...times: readonly number[]) =>
    times.reduce((held, nowMs) => holdPlan(held, [], { nowMs, holdMs: HOLD_MS }), NO_PLAN_HELD);
  const check = (times: readonly number[], nowMs: number, expected: boolean): void =>
    expect(isHeldFor(after(...times), { nowMs, holdMs: HOLD_MS })).toBe(expected);
  check([], 1_000, false);
  check([1_000, 1_060], 1_099, false);
  check([1_000, 1_060], 1_100, true);
  check([1_000, 1_060, 1_160], 1_200, false);
  check([1_000, 1_060, 500], 599, false);
  check([1_000, 1_060, 500], 600, true);
});
