import fc from "fast-check";
import { expect, it } from "vitest";
import { runsOfBracket, sizeOfSearch } from "./budget.ts";

const sum = (values: readonly number[]): number => values.reduce((total, one) => total + one, 0);

it("never takes more flights than allowed, and leaves none that another candidate could use", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 40, max: 3_000 }),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 1, max: 5 }),
      (runs, rungCount, seedCount) => {
        const size = sizeOfSearch({ runs, rungCount, seedCount });
        const searching = sum(size.brackets.map((one) => runsOfBracket(one, rungCount, seedCount)));
        expect(size.runs).toBe(searching + (2 + size.finalistCount) * seedCount);
        expect(size.runs).toBeLessThanOrEqual(runs);
        expect(runs - size.runs).toBeLessThan(runsOfBracket(1, rungCount, seedCount));
        expect(size.brackets.length).toBeGreaterThanOrEqual(1);
      },
    ),
  );
});

it("shares a usual budget out into several brackets, so that later ones learn", () => {
  expect(sizeOfSearch({ runs: 100, rungCount: 3, seedCount: 2 })).toEqual({
    brackets: [9, 9, 9, 9, 9, 9],
    finalistCount: 6,
    runs: 100,
  });
  expect(sizeOfSearch({ runs: 1_000, rungCount: 3, seedCount: 2 }).brackets.length).toBeGreaterThan(
    9,
  );
});

it("counts the flights of a bracket", () => {
  expect(runsOfBracket(9, 3, 2)).toBe(9 + 3 + 2);
  expect(runsOfBracket(4, 1, 3)).toBe(12);
  expect(runsOfBracket(1, 3, 1)).toBe(3);
});

it("says how many flights are needed when there are too few", () => {
  expect(() => sizeOfSearch({ runs: 9, rungCount: 3, seedCount: 2 })).toThrow(/take 10 at least/);
  expect(sizeOfSearch({ runs: 10, rungCount: 3, seedCount: 2 }).brackets).toEqual([1]);
});
