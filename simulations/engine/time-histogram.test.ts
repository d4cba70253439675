import fc from "fast-check";
import { expect, test } from "vitest";
import { TimeHistogram } from "./time-histogram.ts";

test("quantiles are those of a sorted list, to a percent", () => {
  const times = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 1, max: 1e7, noNaN: true })), {
    minLength: 1,
    maxLength: 500,
  });
  fc.assert(
    fc.property(times, fc.constantFrom(0.01, 0.5, 0.9, 0.99, 0.999, 1), (drawn, q) => {
      const histogram = new TimeHistogram();
      for (const ms of drawn) histogram.add(ms);
      const sorted = drawn.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(q * sorted.length) - 1] ?? 0;
      expect(histogram.quantileMs(q)).toBeGreaterThanOrEqual(exact * 0.99 - 1);
      expect(histogram.quantileMs(q)).toBeLessThanOrEqual(exact * 1.01);
      const { count, maxMs, meanMs } = histogram.quantiles();
      expect(count).toBe(drawn.length);
      expect(maxMs).toBe(sorted.at(-1));
      expect(meanMs).toBeCloseTo(drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length, 3);
    }),
  );
});

test("without times all quantiles are 0, and two histograms add up", () => {
  expect(new TimeHistogram().quantiles()).toMatchObject({ count: 0, p50Ms: 0, maxMs: 0 });
  const [one, other] = [new TimeHistogram(), new TimeHistogram()];
  one.add(10);
  other.add(1_000);
  one.addAll(other);
  expect(one.count).toBe(2);
  expect(one.quantileMs(1)).toBe(1_000);
});
