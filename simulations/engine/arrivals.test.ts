import { describe, expect, test } from "vitest";
import { createRng, MS_PER_SECOND } from "../../core/index.ts";
import type { DemandTrace } from "../traces/trace.ts";
import { Arrivals } from "./arrivals.ts";

const STEP_MS = 10 * MS_PER_SECOND;

function traceOf(rates: Readonly<Record<string, readonly number[]>>): DemandTrace {
  const series = Object.entries(rates).map(([functionId, perSecond]) => ({
    functionId,
    perSecond: Float64Array.from(perSecond),
  }));
  const length = series[0]?.perSecond.length ?? 0;
  return {
    name: "test",
    source: "made up",
    stepMs: STEP_MS,
    windowMs: STEP_MS,
    series,
    imputed: new Uint8Array(length),
  };
}

/** Arrivals by function and step. */
function drawn(trace: DemandTrace, cv: number): readonly (readonly number[])[] {
  const arrivals = new Arrivals(trace, createRng(7), cv);
  const counts = trace.series.map(({ perSecond }) => [...perSecond].map(() => 0));
  let before = 0;
  for (let atMs = arrivals.nextMs; atMs < Infinity; atMs = arrivals.nextMs) {
    expect(atMs).toBeGreaterThanOrEqual(before);
    before = atMs;
    const step = Math.floor(atMs / STEP_MS);
    const row = counts[arrivals.take()];
    if (row !== undefined) row[step] = (row[step] ?? 0) + 1;
  }
  return counts;
}

describe("arrivals", () => {
  test("follow the rates of every function, and none come where there are none", () => {
    const rates = { a: [100, 0, 300, 50], b: [0, 0, 100, 150] };
    const counts = drawn(traceOf(rates), 1);
    for (const [index, row] of Object.values(rates).entries()) {
      for (const [step, perSecond] of row.entries()) {
        const mean = (perSecond * STEP_MS) / MS_PER_SECOND;
        expect(counts[index]?.[step]).toBeGreaterThanOrEqual(mean - 5 * Math.sqrt(mean));
        expect(counts[index]?.[step]).toBeLessThanOrEqual(mean + 5 * Math.sqrt(mean));
      }
    }
  });

  test.each([0.5, 1, 2, 3])("scatter as their coefficient of variation %f says", (cv) => {
    const [counts = []] = drawn(traceOf({ a: Array.from({ length: 2_000 }, () => 10) }), cv);
    const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
    const variance = counts.reduce((sum, count) => sum + (count - mean) ** 2, 0) / counts.length;
    expect(mean).toBeGreaterThan(97);
    expect(mean).toBeLessThan(103);
    // Of a renewal process in the long run: variance over mean is the squared coefficient.
    expect(Math.sqrt(variance / mean)).toBeGreaterThan(0.85 * cv);
    expect(Math.sqrt(variance / mean)).toBeLessThan(1.1 * cv);
  });
});
