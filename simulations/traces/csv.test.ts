import fc from "fast-check";
import { expect, test } from "vitest";
import { PlatformError } from "../../core/index.ts";
import { readCsvTrace } from "./csv.ts";

const HEAD = "time_s,function,rate_rps";
const csv = (...rows: readonly string[]): string => [HEAD, ...rows, ""].join("\n");

test("several functions are read in whatever order within a step, with strangers' columns", () => {
  const text = "# ours\nnote,rate_rps,function,time_s\nx,1,a,100\n,2,b,100\n,4,b,160\n,3.5,a,160\n";
  const trace = readCsvTrace(text, "t.csv", "ours");
  expect(trace).toMatchObject({ name: "ours", source: "t.csv", stepMs: 60_000, windowMs: 60_000 });
  const series = trace.series.map(({ functionId, perSecond }) => [functionId, ...perSecond]);
  expect(series).toEqual([
    ["a", 1, 3.5],
    ["b", 2, 4],
  ]);
  expect([...trace.imputed]).toEqual([0, 0]);
});

test.each([
  ["", "t.csv, line 1: the file is empty: it needs a header row"],
  [csv(), "t.csv, line 1: there is no row below the header"],
  [
    "time,function,rate_rps\n0,a,1\n",
    "t.csv, line 1: a demand trace needs the columns time_s, function, rate_rps; time_s is " +
      "missing (is time meant to be it?)",
  ],
  [csv("0,a"), "t.csv, line 2: has 2 columns, but the header names another number of them"],
  [csv("0,a,NaN"), 't.csv, line 2: rate_rps must be a number >= 0, not "NaN"'],
  [csv("0,a,-1"), 't.csv, line 2: rate_rps must be a number >= 0, not "-1"'],
  [csv("0,a,"), "t.csv, line 2: rate_rps is empty"],
  [csv("0,,1"), "t.csv, line 2: function is empty"],
  [csv("noon,a,1"), 't.csv, line 2: time_s must be a number from 0 to 1000000000000, not "noon"'],
  [csv("0,a,1"), "t.csv, line 2: all rows are at time_s 0: it takes two times to know"],
  [csv("60,a,1", "0,a,1"), "t.csv, line 3: time_s is 0 after 60: sort the rows by time_s"],
  [
    csv("0,a,1", "60,a,1", "180,a,1"),
    "t.csv, line 4: time_s is 180 after 60, but steps are 60 s long: insert rows for time_s 120",
  ],
  [
    csv("0,a,1", "0.0001,a,1"),
    "t.csv, line 3: time_s is 0.0001 after 0: a step takes at least 0.001 s",
  ],
  [csv("0,a,1", "0,a,2"), "t.csv, line 3: function a has two rows at time_s 0: remove one"],
  [
    csv("0,a,1", "60,a,1", "60,b,1"),
    "t.csv, line 4: function b has no row at time_s 0: give it a row in every step, with " +
      "rate_rps 0 where nothing was asked",
  ],
  [
    csv("0,a,1", "0,b,1", "60,a,1", "120,a,1", "120,b,1"),
    "t.csv, line 4: function b has no row at time_s 60: give it one",
  ],
  [csv("0,a,1", "0,b,1", "60,a,1"), "t.csv, line 4: function b has no row at time_s 60"],
])("refuses %j", (text, message) => {
  expect(() => readCsvTrace(text, "t.csv")).toThrow(PlatformError);
  expect(() => readCsvTrace(text, "t.csv")).toThrow(message);
});

test("what is written is what is read", () => {
  const rates = fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }).map(Math.abs), {
    minLength: 2,
    maxLength: 20,
  });
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 100_000 }), fc.nat(), (values, stepMs, from) => {
      const times = values.map((_, step) => from + (step * stepMs) / 1_000);
      const text = csv(...values.map((rate, step) => `${times[step] ?? 0},f,${rate}`));
      const trace = readCsvTrace(text, "t.csv");
      expect(trace.stepMs).toBe(stepMs);
      expect([...(trace.series[0]?.perSecond ?? [])]).toEqual(values);
    }),
  );
});
