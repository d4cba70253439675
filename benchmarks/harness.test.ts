import { expect, test } from "vitest";
import { figureLine, quantile } from "./harness.ts";

test("a figure with a baseline has their ratio", () => {
  expect(figureLine("calls", { metric: "p50", value: 3, unit: "ms", baseline: 2 })).toEqual({
    bench: "calls",
    metric: "p50",
    value: 3,
    unit: "ms",
    baseline: 2,
    ratio: 1.5,
  });
});

test("no baseline, or one of zero, gives no ratio", () => {
  const figure = { metric: "p50", value: 3, unit: "ms" };
  expect(figureLine("calls", figure)).toMatchObject({ baseline: null, ratio: null });
  expect(figureLine("calls", { ...figure, baseline: 0 })).toMatchObject({ ratio: null });
});

test("a quantile is a value that was measured", () => {
  const values = [5, 1, 4, 2, 3];
  expect([0, 0.5, 0.99, 1].map((q) => quantile(values, q))).toEqual([1, 3, 5, 5]);
  expect(quantile([], 0.5)).toBeNaN();
});
