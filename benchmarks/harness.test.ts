import { expect, test } from "vitest";
import { figureLine, quantile, readArguments, usageOf, type BenchmarkOptions } from "./harness.ts";

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

const DATA: BenchmarkOptions = {
  data: { placeholder: "DIR", default: "../data", description: "folder with the series" },
};

test("a benchmark gets the options that it declares, or their defaults", () => {
  expect(readArguments([], DATA)).toEqual({
    json: false,
    help: false,
    values: { data: "../data" },
  });
  expect(readArguments(["--data", "/x", "--json"], DATA)).toEqual({
    json: true,
    help: false,
    values: { data: "/x" },
  });
  expect(readArguments(["--help"], {})).toEqual({ json: false, help: true, values: {} });
});

test("an option that nobody declares is refused by name", () => {
  expect(() => readArguments(["--data", "/x"], {})).toThrow(/--data/);
  expect(() => readArguments(["more"], DATA)).toThrow(/more/);
});

test("the usage names each option and its default", () => {
  expect(usageOf("forecast", DATA)).toEqual([
    "npm run bench -- forecast [--json] [--data DIR]",
    "    --data DIR  folder with the series (default ../data)",
  ]);
});
