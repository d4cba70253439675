import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupingOf, groupMaxima, groupMeans, groupSums, largestSeries } from "./downsample.ts";

const values = fc.array(fc.integer({ min: 0, max: 1_000_000 }), { minLength: 1, maxLength: 300 });

describe("a series made short", () => {
  it("has no more points than there is room for, and keeps its sum and its greatest", () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 50 }), (series, pointCountMax) => {
        const grouping = groupingOf(series.length, pointCountMax);
        const sums = groupSums(series, grouping);
        expect(sums.length).toBeLessThanOrEqual(pointCountMax);
        expect(total(sums)).toBe(total(series));
        expect(Math.max(...groupMaxima(series, grouping))).toBe(Math.max(...series));
      }),
    );
  });

  it("has means that weigh a short last group by what is in it", () => {
    const grouping = groupingOf(5, 3);
    expect(grouping).toEqual({ size: 2, groupCount: 3 });
    expect(groupMeans([1, 3, 5, 7, 9], grouping)).toEqual([2, 6, 9]);
  });

  it("is left alone when there is room, and may be empty", () => {
    expect(groupSums([3, 1], groupingOf(2, 10))).toEqual([3, 1]);
    expect(groupMeans([], groupingOf(0, 10))).toEqual([]);
  });
});

describe("many series", () => {
  const manySeries = fc
    .integer({ min: 1, max: 12 })
    .chain((length) =>
      fc.array(fc.array(fc.nat(1_000), { minLength: length, maxLength: length }), {
        minLength: 1,
        maxLength: 20,
      }),
    )
    .map((lists) => lists.map((list, index) => ({ name: `offer ${index}`, values: list })));

  it("become the largest and one of the rest, with the same sum in every bucket", () => {
    fc.assert(
      fc.property(manySeries, fc.integer({ min: 1, max: 8 }), (series, countMax) => {
        const fewer = largestSeries(series, { countMax, restName: (count) => `${count} others` });
        expect(fewer.length).toBe(Math.min(series.length, countMax + 1));
        const sums = (of: typeof fewer): number[] =>
          (of[0]?.values ?? []).map((_, bucket) => total(of.map((one) => one.values[bucket] ?? 0)));
        expect(sums(fewer)).toEqual(sums(series));
      }),
    );
  });

  it("are named by how many were taken together", () => {
    const series = [1, 2, 3].map((value) => ({ name: `s${value}`, values: [value] }));
    const fewer = largestSeries(series, { countMax: 1, restName: (count) => `${count} others` });
    expect(fewer).toEqual([
      { name: "s3", values: [3] },
      { name: "2 others", values: [3] },
    ]);
  });
});

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, value) => sum + value, 0);
}
