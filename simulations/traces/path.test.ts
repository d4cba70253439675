import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import { alongPath } from "./path.ts";
import { cut, repeated, scaled, shareOut, totalOf } from "./reshape.ts";
import { PATH_KINDS, type DemandTrace, type PathKind } from "./trace.ts";

function windowsOf(rates: readonly number[], functionId = "chat"): DemandTrace {
  return {
    name: "test",
    source: "made up",
    stepMs: 600_000,
    windowMs: 600_000,
    series: [{ functionId, perSecond: Float64Array.from(rates) }],
    imputed: new Uint8Array(rates.length),
  };
}

function pathOf(rates: readonly number[], kind: PathKind, stepMs: number, seed = 1): Float64Array {
  const path = alongPath(windowsOf(rates), { kind, stepMs, rng: createRng(seed) });
  return path.series[0]?.perSecond ?? new Float64Array();
}

const sumOf = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
const meanOf = (values: Float64Array): number => sumOf(values) / values.length;

const RATES = fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), {
  minLength: 1,
  maxLength: 20,
});
const STEPS_MS = fc.constantFrom(10_000, 60_000, 200_000, 300_000, 600_000);

describe("a path through windows", () => {
  it("is finite, not below zero and as long as the windows, whatever they are", () => {
    fc.assert(
      fc.property(RATES, fc.constantFrom(...PATH_KINDS), STEPS_MS, (rates, kind, stepMs) => {
        const path = pathOf(rates, kind, stepMs);
        expect(path.length).toBe((rates.length * 600_000) / stepMs);
        expect(path.every((rate) => rate >= 0 && Number.isFinite(rate))).toBe(true);
      }),
    );
  });

  it("is the windows themselves when a step is a window", () => {
    fc.assert(
      fc.property(RATES, fc.constantFrom(...PATH_KINDS), (rates, kind) => {
        expect([...pathOf(rates, kind, 600_000)]).toEqual(rates);
      }),
    );
  });

  it("by steps has each window's mean", () => {
    fc.assert(
      fc.property(RATES, STEPS_MS, (rates, stepMs) => {
        const path = pathOf(rates, "step", stepMs);
        const steps = 600_000 / stepMs;
        for (const [window, rate] of rates.entries()) {
          const part = path.slice(window * steps, (window + 1) * steps);
          expect(meanOf(part)).toBeCloseTo(rate, 6);
        }
      }),
    );
  });

  it("by lines has the sum of all windows, and (1, 6, 1) / 8 of its neighbours in each", () => {
    fc.assert(
      fc.property(RATES, STEPS_MS, (rates, stepMs) => {
        const steps = 600_000 / stepMs;
        const path = pathOf(rates, "linear", stepMs);
        expect(sumOf(path) / steps).toBeCloseTo(sumOf(Float64Array.from(rates)), 6);
      }),
    );
    const path = pathOf([8, 16, 80], "linear", 10_000);
    expect(meanOf(path.slice(60, 120))).toBeCloseTo((8 + 6 * 16 + 80) / 8, 9);
  });

  it("by bridges has each window's rate exactly at its middle", () => {
    fc.assert(
      fc.property(RATES, STEPS_MS, fc.nat(), (rates, stepMs, seed) => {
        const steps = 600_000 / stepMs;
        const path = pathOf(rates, "bridge", stepMs, seed);
        const middles = rates.map((_, window) => path[window * steps + Math.floor(steps / 2)]);
        expect(middles).toEqual(rates);
      }),
    );
  });

  it("by bridges is as rough as the windows around it, and flat where they are", () => {
    const rough = Array.from({ length: 400 }, (_, at) => (at % 2 === 0 ? 100 : 120));
    const path = pathOf(rough, "bridge", 10_000).map(Math.log);
    let squares = 0;
    for (let at = 1; at < path.length; at += 1) {
      squares += ((path[at] ?? 0) - (path[at - 1] ?? 0)) ** 2;
    }
    const perWindow = Math.sqrt(squares / rough.length);
    expect(perWindow).toBeGreaterThan(0.95 * Math.log(1.2));
    expect(perWindow).toBeLessThan(1.05 * Math.log(1.2));
    expect(pathOf([5, 5, 5], "bridge", 10_000).every((rate) => Math.abs(rate - 5) < 1e-9)).toBe(
      true,
    );
  });

  it("is fixed by the seed, and another for each function", () => {
    const rates = [10, 30, 20];
    expect(pathOf(rates, "bridge", 10_000, 7)).toEqual(pathOf(rates, "bridge", 10_000, 7));
    expect(pathOf(rates, "bridge", 10_000, 7)).not.toEqual(pathOf(rates, "bridge", 10_000, 8));
    const options = { kind: "bridge", stepMs: 10_000, rng: createRng(7) } as const;
    const other = alongPath(windowsOf(rates, "other"), options);
    expect(other.series[0]?.perSecond).not.toEqual(pathOf(rates, "bridge", 10_000, 7));
  });
});

describe("a reshaped trace", () => {
  it("that is shared out adds up to what it was, the k-th share being 1/k of the first", () => {
    const shared = shareOut(windowsOf([10, 20, 0]), { functions: 12, exponent: 1 });
    expect(shared.series.map(({ functionId }) => functionId).slice(0, 2)).toEqual([
      "function-01",
      "function-02",
    ]);
    const [first, second, third] = shared.series.map(({ perSecond }) => perSecond[1] ?? 0);
    expect(second).toBeCloseTo((first ?? 0) / 2, 12);
    expect(third).toBeCloseTo((first ?? 0) / 3, 12);
    const total = totalOf(shared.series);
    for (const [at, rate] of [10, 20, 0].entries()) expect(total[at]).toBeCloseTo(rate, 9);
  });

  it("that is cut keeps whole windows and their masks", () => {
    const trace = { ...windowsOf([1, 2, 3, 4]), imputed: Uint8Array.of(0, 1, 0, 1) };
    const part = cut(trace, { fromMs: 600_000, untilMs: 1_800_000 });
    expect([...(part.series[0]?.perSecond ?? [])]).toEqual([2, 3]);
    expect([...part.imputed]).toEqual([1, 0]);
    expect(cut(trace, { fromMs: 1e9, untilMs: 2e9 }).series[0]?.perSecond.length).toBe(0);
  });

  it("that is repeated starts over, and scaling by 0 leaves nothing", () => {
    const again = repeated(windowsOf([1, 2]), 3 * 600_000);
    expect([...(again.series[0]?.perSecond ?? [])]).toEqual([1, 2, 1]);
    expect(again.imputed.length).toBe(3);
    expect([...(scaled(again, 0).series[0]?.perSecond ?? [])]).toEqual([0, 0, 0]);
    expect(() => scaled(again, Number.NaN)).toThrow("cannot be scaled by NaN");
  });
});
