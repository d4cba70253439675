/**
 * What the fleet has cost and will have cost by the end of the month, in UTC.
 *
 *     forecast = spent this month + rate * time left
 *     rate     = spent in the last day / time of it in which the record existed
 *
 * The last day, since fleets breathe with the day and seldom with the week. Pure.
 */
import { MS_PER_HOUR, type MicroUsd } from "../core/index.ts";

/** Beginnings and ends of the times that are added up. */
export interface SpendPeriods {
  readonly dayFromMs: number;
  readonly monthFromMs: number;
  readonly monthToMs: number;
  /** The beginning of the last 24 hours. */
  readonly lastDayFromMs: number;
}

const DAY_MS = 24 * MS_PER_HOUR;

/** The periods that a time lies in. */
export function spendPeriodsOf(nowMs: number): SpendPeriods {
  const { year, month } = monthOf(nowMs);
  return {
    dayFromMs: Math.floor(nowMs / DAY_MS) * DAY_MS,
    monthFromMs: Date.UTC(year, month),
    monthToMs: Date.UTC(year, month + 1),
    lastDayFromMs: nowMs - DAY_MS,
  };
}

/**
 * The forecast of a month.
 *
 * @param spent.lastDayMicroUsd what the last 24 hours cost.
 * @param spent.sinceMs when the first machine was launched; absent while there was none.
 */
export function forecastOf(
  spent: {
    readonly monthMicroUsd: MicroUsd;
    readonly lastDayMicroUsd: MicroUsd;
    readonly sinceMs?: number;
  },
  nowMs: number,
): MicroUsd {
  const { monthToMs, lastDayFromMs } = spendPeriodsOf(nowMs);
  const knownMs = Math.min(nowMs - lastDayFromMs, nowMs - (spent.sinceMs ?? nowMs));
  if (knownMs <= 0) return spent.monthMicroUsd;
  const leftMs = monthToMs - nowMs;
  return spent.monthMicroUsd + Math.round((spent.lastDayMicroUsd / knownMs) * leftMs);
}

/** Year and month (from 0) of a time, by the civil calendar. Source: H. Hinnant, days_from_civil. */
function monthOf(nowMs: number): { readonly year: number; readonly month: number } {
  const days = Math.floor(nowMs / DAY_MS) + 719_468;
  const era = Math.floor(days / 146_097);
  const dayOfEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1_460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear =
    dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 2 : shifted - 10;
  return { year: yearOfEra + era * 400 + (month <= 1 ? 1 : 0), month };
}
