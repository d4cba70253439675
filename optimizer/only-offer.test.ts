import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_OPTIMIZER_POLICY, type Offer } from "../core/index.ts";
import { costOf } from "./candidate.ts";
import { fillDraft } from "./complete-draft.ts";
import { onlyOffer } from "./only-offer.ts";
import type { PlanInput } from "./plan.ts";
import { presolve } from "./presolve.ts";
import { fixedUsdOf, type Problem } from "./problem.ts";
import { readInput } from "./read-input.ts";
import { testClass, testOffer } from "./test-market.ts";

const OFFER = testOffer("h100x1", { nodeCountMax: 40 });

/** Dearer, but not for each GPU. */
const LARGE = testOffer("h100x8", {
  resources: { gpuCount: 8, cpuMilli: 128_000, memoryMiB: 1_048_576 },
  priceMicroUsdPerHour: 20_000_000,
});

function problemOf(
  wanted: readonly number[],
  over: Partial<PlanInput> & { readonly offer?: Offer } = {},
): Problem {
  const { offer = OFFER, ...rest } = over;
  const classes = wanted.map((_, index) =>
    testClass(`class-${index}`, { cpuMilli: 1_000 * (index + 1) }),
  );
  const quantity = Object.fromEntries(
    wanted.map((count, index) => [`class-${index}`, count] as const),
  );
  return presolve(
    readInput({
      offers: [offer],
      classes,
      scenarios: [{ scenarioId: "now", probability: 1, quantity }],
      fleet: [],
      policy: { ...DEFAULT_OPTIMIZER_POLICY, hysteresisFraction: 0 },
      ...rest,
    }),
  );
}

test("what is found costs no more than any other number of nodes", () => {
  const worlds = fc.record({
    wanted: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
    present: fc.integer({ min: 0, max: 40 }),
  });
  let found = 0;
  fc.assert(
    fc.property(worlds, ({ wanted, present }) => {
      const fleet = present === 0 ? [] : [{ offerId: OFFER.offerId, count: present }];
      const problem = problemOf(wanted, { fleet });
      const evident = onlyOffer(problem);
      if (evident === undefined) return;
      found += 1;
      const least = Math.min(
        ...Array.from({ length: 41 }, (_, count) =>
          costOf(problem, fillDraft(problem, { counts: [count] })),
        ),
      );
      const cost = costOf(problem, evident.candidate);
      expect(cost).toBeCloseTo(least, 9);
      expect(evident.boundUsd + fixedUsdOf(problem)).toBeCloseTo(cost, 9);
    }),
    { numRuns: 100, seed: 1 },
  );
  expect(found).toBeGreaterThan(50);
});

test("a fleet that is hardly too large stays, and one that is much too large does not", () => {
  const policy = { ...DEFAULT_OPTIMIZER_POLICY, hysteresisFraction: 0.1, churnMicroUsd: 0 };
  const countWith = (present: number): number | undefined => {
    const fleet = [{ offerId: OFFER.offerId, count: present }];
    return onlyOffer(problemOf([20], { fleet, policy }))?.candidate.counts[0];
  };
  expect(countWith(21)).toBe(21);
  expect(countWith(30)).toBe(20);
  expect(countWith(10)).toBe(20);
});

test.each([
  ["two offers are open", problemOf([2], { offers: [OFFER, LARGE] })],
  [
    "waiting costs less than a node",
    problemOf([2], { classes: [{ ...testClass("class-0"), unmetMicroUsdPerHour: 1 }] }),
  ],
  [
    "the budget binds",
    problemOf([2], { policy: { ...DEFAULT_OPTIMIZER_POLICY, budgetMicroUsdPerHourMax: 1 } }),
  ],
])("a solver is asked when %s", (_, problem) => {
  expect(onlyOffer(problem)).toBeUndefined();
});
