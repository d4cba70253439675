import fc from "fast-check";
import { expect, it } from "vitest";
import { RequestBudget } from "./request-budget.ts";

it("passes at most the burst and what has been refilled since, and all of that", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.nat(400), { maxLength: 60 }),
      (burst, perSecond, gapsMs) => {
        const budget = new RequestBudget();
        budget.set("k", { burst, perSecond });
        let nowMs = 0;
        let passed = 0;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          if (budget.take("k", nowMs)) passed += 1;
          expect(passed).toBeLessThanOrEqual(burst + (nowMs / 1000) * perSecond + 1e-9);
        }
        // After a long rest the whole burst is there again.
        nowMs += 10_000;
        const burstNow = Array.from({ length: burst + 1 }, () => budget.take("k", nowMs));
        expect(burstNow.filter(Boolean)).toHaveLength(burst);
      },
    ),
  );
});

it("knows its kinds apart, and limits none without a rate", () => {
  const budget = new RequestBudget();
  budget.set("a", { burst: 1, perSecond: 1 });
  expect([budget.take("a", 0), budget.take("a", 0), budget.take("b", 0)]).toEqual([
    true,
    false,
    true,
  ]);
  budget.set("a");
  expect(budget.take("a", 0)).toBe(true);
});
