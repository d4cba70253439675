import { describe, expect, test } from "vitest";
import { createRng, MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { demandQuantile, newForecast, seasonWeights, type DemandSample } from "./forecast.ts";
import { emptySeason, interruptSeason, observeSeason, seasonDrift, type Season } from "./season.ts";
import { observeAll } from "./test-series.ts";

const DAY_MS = 24 * MS_PER_HOUR;

/** Log demand that rises by 1 from 8 to 9 o'clock and falls by 1 from 20 to 21. */
function learnDays(days: number, isWorking: (day: number) => boolean = () => true): Season {
  let season = emptySeason();
  for (let hour = 0; hour < days * 24; hour += 1) {
    const isOpen = isWorking(Math.floor(hour / 24)) && hour % 24 >= 9 && hour % 24 < 21;
    season = observeSeason(season, hour * MS_PER_HOUR, isOpen ? 6 : 5);
  }
  return season;
}

describe("the drift of hours", () => {
  test("is learnt for each hour of the day", () => {
    const season = learnDays(6);
    const day = 100 * DAY_MS;
    expect(seasonDrift(season, day + 8 * MS_PER_HOUR, day + 9 * MS_PER_HOUR)).toBeCloseTo(1, 1);
    expect(seasonDrift(season, day + 8.5 * MS_PER_HOUR, day + 9 * MS_PER_HOUR)).toBeCloseTo(0.5, 1);
    expect(seasonDrift(season, day, day + DAY_MS)).toBeCloseTo(0, 5);
  });

  test("differs between the days of a week", () => {
    const season = learnDays(28, (day) => day % 7 < 5);
    const at = (day: number): number =>
      seasonDrift(season, day * DAY_MS + 8 * MS_PER_HOUR, day * DAY_MS + 9 * MS_PER_HOUR);
    expect(at(700)).toBeGreaterThan(0.8);
    expect(at(706)).toBeLessThan(0.4);
  });

  test("is not learnt across a hole", () => {
    const before = observeSeason(emptySeason(), 0, 5);
    const after = observeSeason(interruptSeason(before), MS_PER_HOUR, 9);
    expect(seasonDrift(after, 0, MS_PER_HOUR)).toBe(0);
  });
});

describe("the weight of the season", () => {
  const options = { target: "end", leadsMs: [30 * MS_PER_MINUTE] } as const;

  function days(count: number, logOf: (atMs: number) => number): readonly DemandSample[] {
    return Array.from({ length: count * 144 }, (_, index) => {
      const atMs = index * 10 * MS_PER_MINUTE;
      return { atMs, quantity: Math.exp(logOf(atMs)) };
    });
  }

  test("is 1 for demand that repeats every day, and the forecast follows it", () => {
    const daily = (atMs: number): number => 5 + 1.5 * Math.sin((2 * Math.PI * atMs) / DAY_MS);
    const forecast = observeAll(newForecast(options), days(8, daily));
    expect(seasonWeights(forecast)).toEqual([1]);
    const { lastAtMs } = forecast.samples!;
    const median = demandQuantile(forecast, { leadMs: 30 * MS_PER_MINUTE, quantile: 0.5 });
    expect(median / Math.exp(daily(lastAtMs + 30 * MS_PER_MINUTE))).toBeCloseTo(1, 1);
  });

  test("is 0 for demand that has no season", () => {
    const rng = createRng("no season");
    let log = 5;
    const walk = (): number => (log += 0.1 * (rng.next() - 0.5) + 0.01 * (5 - log));
    expect(seasonWeights(observeAll(newForecast(options), days(8, walk)))).toEqual([0]);
  });
});
