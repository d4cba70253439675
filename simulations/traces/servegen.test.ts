import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { createRng } from "../../core/index.ts";
import { alongPath } from "./path.ts";
import { cut, peakPerSecond, rateFor, scaledToPeak, totalOf } from "./reshape.ts";
import { readServegen } from "./servegen.ts";
import { durationMsOf, PATH_KINDS } from "./trace.ts";

const OPTIONS = { name: "servegen test", functionId: "chat" };
const FILE = fileURLToPath(
  new URL("../../../shared/data/servegen/m-mid_aggregate.csv.gz", import.meta.url),
);

const csv = (...rates: readonly (number | string)[]): string =>
  ["window_start_s,total_rate_rps", ...rates.map((rate, i) => `${i * 600},${rate}`), ""].join("\n");

function refusalOf(text: string): string {
  try {
    readServegen(text, "t.csv", OPTIONS);
  } catch (error) {
    return error instanceof Error ? error.message : "";
  }
  throw new Error(`not refused: ${text}`);
}

test("columns are found by name, and more of them do no harm", () => {
  const text = "active_clients,total_rate_rps,window_start_s\n5,2.5,0\n6,3.5,600\n";
  const trace = readServegen(text, "t.csv", OPTIONS);
  expect(trace).toMatchObject({ name: "servegen test", stepMs: 600_000, windowMs: 600_000 });
  expect([...(trace.series[0]?.perSecond ?? [])]).toEqual([2.5, 3.5]);
});

test("a hole is filled on a line in logs and masked, and demand that fell is left alone", () => {
  const hole = readServegen(csv(100, 0, 2, 800, 700), "t.csv", OPTIONS);
  expect([...hole.imputed]).toEqual([0, 1, 1, 0, 0]);
  expect(hole.series[0]?.perSecond[1]).toBeCloseTo(200, 9);
  expect(hole.series[0]?.perSecond[2]).toBeCloseTo(400, 9);

  const fallen = readServegen(csv(100, 2, 3, 20, 30), "t.csv", OPTIONS);
  expect([...fallen.imputed]).toEqual([0, 0, 0, 0, 0]);
  expect(fallen.series[0]?.perSecond[1]).toBe(2);
});

test("a series that stops before its end, and one that starts with nothing, are read", () => {
  expect([...readServegen(csv(100, 90, 0, 0), "t.csv", OPTIONS).imputed]).toEqual([0, 0, 1, 1]);
  expect([...readServegen(csv(0, 0, 5, 6), "t.csv", OPTIONS).imputed]).toEqual([0, 0, 0, 0]);
});

test.each([
  ["", "t.csv, line 1: the file is empty: it needs a header row"],
  ["window_start_s,total_rps\n0,1\n", "total_rate_rps is missing"],
  [csv(), "t.csv, line 1: at least two windows are needed, to know how long one is"],
  [csv(1), "t.csv, line 1: at least two windows are needed"],
  [csv(1, "NaN"), 't.csv, line 3: total_rate_rps must be a number >= 0, not "NaN"'],
  [csv(1, -2), 't.csv, line 3: total_rate_rps must be a number >= 0, not "-2"'],
  [csv(1, ""), "t.csv, line 3: total_rate_rps is empty"],
  ["window_start_s,total_rate_rps\n600,1\n0,2\n", "line 3: window_start_s is 0 after 600"],
  ["window_start_s,total_rate_rps\n0,1\n0,2\n", "line 3: window_start_s is 0 after 0"],
  [
    "window_start_s,total_rate_rps\n0,1\n600,2\n1800,2\n",
    "line 4: window_start_s is 1800 after 600; windows must be in order and equally long (600 s)",
  ],
])("refuses %j", (text, message) => {
  expect(refusalOf(text)).toContain(message);
});

const hasFile = existsSync(FILE);
if (!hasFile) process.stderr.write(`SKIPPED: the public trace is not at ${FILE}\n`);
test.skipIf(!hasFile)(`the two weeks of m-mid are as measured (skipped without ${FILE})`, () => {
  const text = gunzipSync(readFileSync(FILE)).toString("utf8");
  const windows = readServegen(text, "m-mid", OPTIONS);
  expect(durationMsOf(windows)).toBe(14 * 24 * 3_600_000);
  expect(peakPerSecond(windows)).toBeCloseTo(3_444.8, 0);
  expect(windows.imputed.reduce((sum, one) => sum + one, 0)).toBe(102);
  const runs = windows.imputed.filter((one, at) => one === 1 && windows.imputed[at - 1] !== 1);
  expect(runs.length).toBe(8);

  const demand = scaledToPeak(windows, rateFor({ gpuCount: 1_000, serviceMs: 10_000 }));
  expect(peakPerSecond(demand)).toBeCloseTo(100, 9);
  const sumOf = (values: Float64Array): number => values.reduce((sum, rate) => sum + rate, 0);
  const workOf = (trace: typeof demand): number => sumOf(totalOf(trace.series)) * trace.stepMs;
  for (const kind of PATH_KINDS) {
    const path = alongPath(demand, { kind, stepMs: 10_000, rng: createRng(1) });
    expect(workOf(path) / workOf(demand), kind).toBeCloseTo(1, kind === "bridge" ? 2 : 9);
  }
  const secondWeek = cut(demand, { fromMs: 7 * 86_400_000, untilMs: Infinity });
  expect(durationMsOf(secondWeek)).toBe(7 * 86_400_000);
});
