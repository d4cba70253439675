import fc from "fast-check";
import { expect, test } from "vitest";
import { MS_PER_HOUR } from "../core/index.ts";
import { forecastOf, spendPeriodsOf } from "./spend.ts";

const NOON = Date.UTC(2026, 10, 16, 12);

test("periods are those of the calendar in UTC, also across leap years and Decembers", () => {
  const years = fc.integer({ min: Date.UTC(1970, 0), max: Date.UTC(2400, 0) });
  fc.assert(
    fc.property(years, (nowMs) => {
      const date = new Date(nowMs);
      const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
      expect(spendPeriodsOf(nowMs)).toEqual({
        dayFromMs: Date.UTC(year, month, date.getUTCDate()),
        monthFromMs: Date.UTC(year, month),
        monthToMs: Date.UTC(year, month + 1),
        lastDayFromMs: nowMs - 24 * MS_PER_HOUR,
      });
    }),
    { numRuns: 500 },
  );
});

test("the forecast goes on with what the last day cost", () => {
  const spent = { monthMicroUsd: 100_000_000, lastDayMicroUsd: 24_000_000, sinceMs: 0 };
  // A dollar an hour for the 14.5 days that are left.
  expect(forecastOf(spent, NOON)).toBe(100_000_000 + 14.5 * 24 * 1_000_000);
});

test("a platform that is an hour old is not taken for one that slept for 23", () => {
  const sinceMs = NOON - MS_PER_HOUR;
  const spent = { monthMicroUsd: 1_000_000, lastDayMicroUsd: 1_000_000, sinceMs };
  expect(forecastOf(spent, NOON)).toBe(1_000_000 + 14.5 * 24 * 1_000_000);
});

test("without a machine nothing is expected", () => {
  expect(forecastOf({ monthMicroUsd: 0, lastDayMicroUsd: 0 }, NOON)).toBe(0);
});
