import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";
import {
  demandQuantile,
  inheritForecast,
  newForecast,
  observe,
  type DemandSample,
  type Forecast,
} from "./forecast.ts";
import type { ForecastTarget } from "./lead-errors.ts";
import { observeAll, randomSeries, STEP_KINDS } from "./test-series.ts";

const LEAD_MS = 3 * MS_PER_MINUTE;
const SPACING_MS = 30 * MS_PER_SECOND;
const DAY_COUNT = (24 * MS_PER_HOUR) / SPACING_MS;
const LEAD_COUNT = LEAD_MS / SPACING_MS;
const BUSY = { level: 1_000, stepSize: 10, spacingMs: SPACING_MS } as const;

function at(quantile: number, leadMs = LEAD_MS): { quantile: number; leadMs: number } {
  return { quantile, leadMs };
}

/** The level after each sample. */
function levelsOf(samples: readonly DemandSample[]): readonly number[] {
  let forecast = newForecast();
  return samples.map((sample) => {
    forecast = observe(forecast, sample);
    return forecast.samples?.level.value ?? 0;
  });
}

/** Share of outcomes after the first day that each quantile was not exceeded by. */
function coverage(samples: readonly DemandSample[], target: ForecastTarget): readonly number[] {
  let forecast = newForecast({ target, leadsMs: [LEAD_MS] });
  const covered = [0, 0, 0];
  let count = 0;
  const next = target === "sustained" ? levelsOf(samples) : samples.map((one) => one.quantity);
  for (const [index, sample] of samples.entries()) {
    forecast = observe(forecast, sample);
    const ahead = next.slice(index + 1, index + 1 + LEAD_COUNT);
    if (index < DAY_COUNT || ahead.length < LEAD_COUNT) continue;
    const outcome = target === "end" ? (ahead.at(-1) ?? 0) : Math.max(...ahead);
    count += 1;
    [0.5, 0.9, 0.99].forEach((quantile, place) => {
      if (outcome <= demandQuantile(forecast, at(quantile))) covered[place]! += 1;
    });
  }
  return covered.map((sum) => sum / count);
}

describe("quantiles", () => {
  const kinds = STEP_KINDS.flatMap((kind) =>
    (["end", "peak", "sustained"] as const).map((target) => [kind, target] as const),
  );
  test.each(kinds)("hold what they say for %s steps and the %s of a lead time", (kind, target) => {
    const samples = randomSeries({ ...BUSY, kind, seed: kind, count: 3 * DAY_COUNT });
    const [half = 0, nine = 0, most = 0] = coverage(samples, target);
    expect(half).toBeGreaterThan(0.44);
    expect(half).toBeLessThan(0.56);
    expect(nine).toBeGreaterThan(0.87);
    expect(nine).toBeLessThan(0.93);
    expect(most).toBeGreaterThan(0.98);
    expect(most).toBeLessThan(0.998);
  });

  const histories = fc.array(
    fc.record({
      gapMs: fc.integer({ min: 1, max: 10 * MS_PER_MINUTE }),
      quantity: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true })),
    }),
    { maxLength: 200 },
  );
  const observed = (history: readonly { gapMs: number; quantity: number }[]): Forecast => {
    let atMs = 0;
    return observeAll(
      newForecast(),
      history.map(({ gapMs, quantity }) => ({ atMs: (atMs += gapMs), quantity })),
    );
  };

  test("rise with the share, are finite and never negative, whatever was seen", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 1, max: 2 * MS_PER_HOUR }), (history, leadMs) => {
        const forecast = observed(history);
        const found = [0, 0.1, 0.5, 0.9, 0.99, 1].map((q) =>
          demandQuantile(forecast, at(q, leadMs)),
        );
        expect(found).toEqual(found.toSorted((a, b) => a - b));
        expect(found.every((quantity) => Number.isFinite(quantity) && quantity >= 0)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test("the state survives JSON, and equal samples give equal bytes", () => {
    fc.assert(
      fc.property(histories, histories, (early, late) => {
        const forecast = observed(early);
        const restored = JSON.parse(JSON.stringify(forecast)) as Forecast;
        const startMs = forecast.samples?.lastAtMs ?? 0;
        const goOn = (from: Forecast): string => {
          let atMs = startMs;
          const samples = late.map(({ gapMs, quantity }) => ({ atMs: (atMs += gapMs), quantity }));
          return JSON.stringify(observeAll(from, samples));
        };
        expect(goOn(restored)).toBe(goOn(forecast));
        expect(JSON.stringify(observed(early))).toBe(JSON.stringify(forecast));
      }),
      { numRuns: 50 },
    );
  });

  test("between two lead times they lie between theirs", () => {
    const samples = randomSeries({ ...BUSY, kind: "normal", seed: 1, count: DAY_COUNT });
    const forecast = observeAll(newForecast(), samples);
    const [three = 0, five = 0, ten = 0] = [3, 5, 10].map((minutes) =>
      demandQuantile(forecast, at(0.9, minutes * MS_PER_MINUTE)),
    );
    expect(three).toBeLessThan(five);
    expect(five).toBeLessThan(ten);
  });

  test("the gain widens the margin over the level and nothing else", () => {
    const forecast = observe(newForecast(), { atMs: 0, quantity: 100 });
    const single = demandQuantile(forecast, { ...at(0.9), gain: 1 });
    const double = demandQuantile(forecast, { ...at(0.9), gain: 2 });
    expect(double - 100).toBeCloseTo(2 * (single - 100), 6);
  });
});

describe("little history", () => {
  test("without a sample nothing is expected", () => {
    expect(demandQuantile(newForecast(), at(0.99))).toBe(0);
  });

  test("after one sample the answer is what public traffic would do", () => {
    const forecast = observe(newForecast(), { atMs: 0, quantity: 100 });
    expect(demandQuantile(forecast, at(0.5))).toBeGreaterThan(100);
    expect(demandQuantile(forecast, at(0.99))).toBeGreaterThan(115);
    expect(demandQuantile(forecast, at(0.99))).toBeLessThan(150);
  });

  test("demand that stands still soon has no margin", () => {
    const calm = Array.from({ length: DAY_COUNT }, (_, index) => ({
      atMs: index * SPACING_MS,
      quantity: 100,
    }));
    expect(demandQuantile(observeAll(newForecast(), calm), at(0.95))).toBeLessThan(100.5);
  });

  test("what one series has taught serves another of another size", () => {
    const samples = randomSeries({ ...BUSY, kind: "laplace", seed: 2, count: DAY_COUNT });
    const forecast = observeAll(newForecast(), samples);
    const next = { atMs: DAY_COUNT * SPACING_MS, quantity: 100 };
    const small = observe(inheritForecast(forecast, 0.1), next);
    const large = observe(forecast, { ...next, quantity: 1_000 });
    const ratio = demandQuantile(small, at(0.9)) / demandQuantile(large, at(0.9));
    expect(ratio).toBeGreaterThan(0.09);
    expect(ratio).toBeLessThan(0.11);
  });
});

describe("holes", () => {
  const samples = randomSeries({ ...BUSY, kind: "normal", seed: 3, count: 2 * DAY_COUNT });
  const judge = (forecast: Forecast): number => demandQuantile(forecast, at(0.99));
  const from = DAY_COUNT + 100;
  const until = from + 120;
  const holed = (inHole: (sample: DemandSample) => readonly DemandSample[]): Forecast =>
    observeAll(
      newForecast(),
      samples.flatMap((sample, index) =>
        index >= from && index < until ? inHole(sample) : [sample],
      ),
    );
  const whole = observeAll(newForecast(), samples);

  test.each([
    ["of zeros", (sample: DemandSample) => [{ ...sample, quantity: 0 }]],
    ["of almost nothing", (sample: DemandSample) => [{ ...sample, quantity: 7 }]],
    ["without samples", () => []],
  ])("a hole %s after which the level is back leaves no trace", (_, inHole) => {
    expect(judge(holed(inHole)) / judge(whole)).toBeCloseTo(1, 1);
    expect(holed(inHole).fall).toBeUndefined();
  });

  test("meanwhile the forecast follows what is seen", () => {
    const inside = [...samples.slice(0, from), { ...samples[from]!, quantity: 0 }];
    expect(demandQuantile(observeAll(newForecast(), inside), at(0.5))).toBeLessThan(400);
  });

  test("demand that often comes and goes is learnt, jumps and all", () => {
    const onOff = Array.from({ length: 2 * DAY_COUNT }, (_, index) => ({
      atMs: index * SPACING_MS,
      quantity: index % 60 < 30 ? 100 : 0,
    }));
    const resting = observeAll(newForecast(), onOff);
    expect(resting.samples!.level.value).toBeLessThan(1);
    expect(demandQuantile(resting, at(0.99))).toBeGreaterThan(90);
  });

  test("a lasting fall is no hole", () => {
    const gone = Array.from({ length: DAY_COUNT }, (_, index) => ({
      atMs: samples.at(-1)!.atMs + (index + 1) * SPACING_MS,
      quantity: 0,
    }));
    const forecast = observeAll(whole, gone);
    expect(forecast.fall).toBeUndefined();
    expect(demandQuantile(forecast, at(0.95))).toBeLessThan(15);
  });
});

describe("a level that shifts to its triple", () => {
  const before = randomSeries({ ...BUSY, kind: "normal", seed: 4, count: DAY_COUNT });
  const shifted = randomSeries({
    ...BUSY,
    kind: "normal",
    seed: 5,
    count: DAY_COUNT,
    level: 3_000,
    startMs: DAY_COUNT * SPACING_MS,
  });
  const margin = (forecast: Forecast): number =>
    demandQuantile(forecast, at(0.9)) - demandQuantile(forecast, at(0.5));
  const learnt = observeAll(newForecast(), before);
  const after = (ms: number): Forecast => observeAll(learnt, shifted.slice(0, ms / SPACING_MS));

  test("is met by the median within two minutes", () => {
    const median = demandQuantile(after(2 * MS_PER_MINUTE), at(0.5));
    expect(median / 3_000).toBeGreaterThan(0.95);
    expect(median / 3_000).toBeLessThan(1.1);
  });

  test("widens the margin for hours, not for days", () => {
    const times = [5 * MS_PER_MINUTE, 2 * MS_PER_HOUR, 12 * MS_PER_HOUR];
    const [soon = 0, later = 0, atLast = 0] = times.map((ms) => margin(after(ms)) / margin(learnt));
    expect(soon).toBeGreaterThan(2);
    expect(later).toBeLessThan(2);
    expect(atLast).toBeLessThan(1.2);
  });
});

describe("memory", () => {
  test("is bounded, and a sample that is not later changes nothing", () => {
    const dense = randomSeries({
      ...BUSY,
      kind: "bursts",
      seed: 6,
      count: 5_000,
      spacingMs: MS_PER_SECOND,
    });
    const forecast = observeAll(newForecast(), dense);
    expect(Math.max(...forecast.leads.map(({ origins }) => origins.length))).toBeLessThan(40);
    expect(JSON.stringify(forecast).length).toBeLessThan(60_000);
    expect(observe(forecast, dense[17]!)).toBe(forecast);
  });

  test("amounts that are none are a bug", () => {
    for (const quantity of [-1, Number.NaN, Infinity]) {
      expect(() => observe(newForecast(), { atMs: 0, quantity })).toThrow(/no finite amount/);
    }
  });
});
