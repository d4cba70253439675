import fc from "fast-check";
import { expect, test } from "vitest";
import { heldCount, holdPlan, NO_PLAN_HELD } from "./held-plan.ts";

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
  expect(holdPlan(held, [], { nowMs: 1_100, holdMs: HOLD_MS }).size).toBe(0);
  expect(holdPlan(held, [], { nowMs: 500, holdMs: HOLD_MS }).size).toBe(0);
});
