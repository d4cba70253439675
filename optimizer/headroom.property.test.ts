import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Headroom, withinShares } from "./headroom.ts";
import { presolve } from "./presolve.ts";
import type { Problem } from "./problem.ts";
import { readInput } from "./read-input.ts";
import { anyMiddleInput } from "./test-instances.ts";

function isWithinLimits(problem: Problem, counts: readonly number[]): boolean {
  const rentUsd = counts.reduce((sum, n, i) => sum + n * (problem.offers[i]?.rentUsd ?? 0), 0);
  const isInQuota = problem.quotas.every(
    ({ limit, offerIndexes }) =>
      offerIndexes.reduce((sum, i) => sum + (counts[i] ?? 0), 0) <= limit,
  );
  const isInCapacity = problem.offers.every(
    ({ countMax }, index) => (counts[index] ?? 0) <= countMax,
  );
  return isInQuota && isInCapacity && rentUsd <= (problem.budgetUsd ?? Infinity) + 1e-6;
}

function isWithinShares(problem: Problem, counts: readonly number[]): boolean {
  const gpus = (indexes: Iterable<number>): number => {
    let sum = 0;
    for (const i of indexes)
      sum += (counts[i] ?? 0) * (problem.offers[i]?.offer.resources.gpuCount ?? 0);
    return sum;
  };
  const all = gpus(counts.keys());
  return problem.shares.every(({ minFraction, maxFraction, offerIndexes }) => {
    const own = gpus(offerIndexes);
    return own >= minFraction * all - 1e-6 && own <= maxFraction * all + 1e-6;
  });
}

const anyAdditions = fc.array(fc.tuple(fc.nat({ max: 30 }), fc.integer({ min: 1, max: 9 })), {
  maxLength: 30,
});

describe("headroom", () => {
  it("adds nodes up to every limit and not beyond", () => {
    fc.assert(
      fc.property(anyMiddleInput({ offers: 14, classes: 4 }), anyAdditions, (input, additions) => {
        const problem = presolve(readInput(input));
        fc.pre(problem.offers.length > 0);
        const headroom = new Headroom(
          problem,
          problem.offers.map(() => 0),
        );
        for (const [draw, wanted] of additions) {
          const index = draw % problem.offers.length;
          headroom.add(index, Math.min(wanted, headroom.spare(index)));
          expect(isWithinLimits(problem, headroom.counts)).toBe(true);
          expect(isWithinShares(problem, headroom.counts)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("gives up nodes only where the shares still hold", () => {
    fc.assert(
      fc.property(anyMiddleInput({ offers: 14, classes: 4 }), anyAdditions, (input, additions) => {
        const problem = presolve(readInput(input));
        fc.pre(problem.offers.length > 0);
        const drawn = problem.offers.map(() => 0);
        for (const [draw, count] of additions) drawn[draw % drawn.length] = count;
        const counts = withinShares(problem, drawn);
        expect(isWithinShares(problem, counts)).toBe(true);
        expect(counts.every((count, index) => count <= (drawn[index] ?? 0))).toBe(true);
        const headroom = new Headroom(problem, counts);
        for (const index of counts.keys()) {
          if ((headroom.counts[index] ?? 0) === 0 || !headroom.mayRemove(index)) continue;
          headroom.add(index, -1);
          expect(isWithinShares(problem, headroom.counts)).toBe(true);
        }
      }),
      { numRuns: 150 },
    );
  });
});
