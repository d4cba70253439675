import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addError,
  errorQuantile,
  errorQuantiles,
  priorHistogram,
  type Histogram,
} from "./histogram.ts";

const EMPTY = priorHistogram((error) => (error < 0 ? 0 : 1), 0);

function histogramOf(errors: readonly number[]): Histogram {
  return errors.reduce<Histogram>(
    (histogram, error) => addError(histogram, { error, weight: 1, keptFraction: 1 }),
    EMPTY,
  );
}

const errorLists = fc.array(fc.double({ min: -500, max: 500, noNaN: true }), { minLength: 1 });

test("a quantile is that of the errors themselves, give or take a bin", () => {
  fc.assert(
    fc.property(errorLists, fc.double({ min: 0.01, max: 1, noNaN: true }), (errors, quantile) => {
      const sorted = errors.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(quantile * sorted.length - 1e-9) - 1]!;
      const found = errorQuantile(histogramOf(errors), quantile);
      expect(Math.abs(found - exact)).toBeLessThan(0.1 * (1 + Math.abs(exact)) + 1e-9);
    }),
  );
});

test("quantiles rise with the share", () => {
  fc.assert(
    fc.property(errorLists, (errors) => {
      const histogram = histogramOf(errors);
      const quantiles = [0, 0.1, 0.5, 0.9, 0.99, 1].map((q) => errorQuantile(histogram, q));
      expect(quantiles).toEqual(quantiles.toSorted((a, b) => a - b));
    }),
  );
});

test("several quantiles in one pass are those of one pass each", () => {
  fc.assert(
    fc.property(errorLists, (errors) => {
      const histogram = histogramOf(errors);
      const shares = [0, 0.1, 0.1, 0.5, 0.999, 1];
      const alone = shares.map((q) => errorQuantile(histogram, q));
      expect(errorQuantiles(histogram, shares)).toEqual(alone);
    }),
  );
});

test("old errors fade: after many new ones only those count", () => {
  let histogram = histogramOf(Array.from({ length: 100 }, () => 100));
  for (let add = 0; add < 100; add += 1) {
    histogram = addError(histogram, { error: 1, weight: 1, keptFraction: 0.9 });
  }
  expect(errorQuantile(histogram, 0.99)).toBeLessThan(1.2);
});

test("a prior answers with its own quantiles", () => {
  const exponential = priorHistogram((z) => (z < 0 ? 0 : 1 - Math.exp(-z)), 8);
  expect(errorQuantile(exponential, 0.5)).toBeCloseTo(Math.log(2), 1);
  expect(errorQuantile(exponential, 0.99) / Math.log(100)).toBeCloseTo(1, 1);
});
