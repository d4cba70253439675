/**
 * How demand drifts by time of day and day of week, learnt hour by hour.
 *
 * Each hour of the day has a mean drift (change of log demand from its start to its end), and
 * each hour of the week what it adds to that. Both are running means over the last days and
 * weeks; the week's part starts at half of what it sees, so that one odd Monday does not make a
 * rule. Drifts, not levels: a lasting change of level disturbs one hour only.
 *
 * Hours are those of UTC. Whether the season is used is not decided here (`lead-errors.ts`).
 */
import { MS_PER_HOUR } from "../../core/index.ts";

export interface Season {
  /** Drift of each hour of the day; 24. */
  readonly dayDrift: readonly number[];
  /** How often each was seen. */
  readonly dayCount: readonly number[];
  /** What each hour of the week adds; 168, beginning with Thursday. */
  readonly weekDrift: readonly number[];
  readonly weekCount: readonly number[];
  /** The hour under way: its number since 1970 and log demand at its start, if it was seen. */
  readonly hour?: { readonly index: number; readonly startLog: number };
}

const HOURS_PER_DAY = 24;
const HOURS_PER_WEEK = 168;
/** Days and weeks that the running means look back. */
const DAYS_MAX = 14;
const WEEKS_MAX = 4;

/** Nothing learnt: no drift at any hour. */
export function emptySeason(): Season {
  const zeros = (length: number): readonly number[] => Array.from({ length }, () => 0);
  return {
    dayDrift: zeros(HOURS_PER_DAY),
    dayCount: zeros(HOURS_PER_DAY),
    weekDrift: zeros(HOURS_PER_WEEK),
    weekCount: zeros(HOURS_PER_WEEK),
  };
}

/** The season after log demand is `logLevel` at `atMs`; learns when an hour is full. O(1). */
export function observeSeason(season: Season, atMs: number, logLevel: number): Season {
  const index = Math.floor(atMs / MS_PER_HOUR);
  const { hour } = season;
  if (hour?.index === index) return season;
  const next = { index, startLog: logLevel };
  if (hour?.index !== index - 1) return { ...season, hour: next };
  return { ...learnHour(season, hour.index, logLevel - hour.startLog), hour: next };
}

/** The season after a hole in the samples: the hour under way is not learnt. */
export function interruptSeason({ dayDrift, dayCount, weekDrift, weekCount }: Season): Season {
  return { dayDrift, dayCount, weekDrift, weekCount };
}

/** The change of log demand that the season expects from one time to a later one. O(hours). */
export function seasonDrift(season: Season, fromMs: number, toMs: number): number {
  let drift = 0;
  let atMs = fromMs;
  while (atMs < toMs) {
    const index = Math.floor(atMs / MS_PER_HOUR);
    const endMs = Math.min(toMs, (index + 1) * MS_PER_HOUR);
    const hourly = at(season.dayDrift, index) + at(season.weekDrift, index);
    drift += (hourly * (endMs - atMs)) / MS_PER_HOUR;
    atMs = endMs;
  }
  return drift;
}

function learnHour(season: Season, index: number, drift: number): Season {
  const days = Math.min(DAYS_MAX, at(season.dayCount, index) + 1);
  const weeks = Math.min(WEEKS_MAX, at(season.weekCount, index) + 1);
  const day = at(season.dayDrift, index);
  const week = at(season.weekDrift, index);
  return {
    ...season,
    dayDrift: replaced(season.dayDrift, index, day + (drift - day) / days),
    dayCount: replaced(season.dayCount, index, days),
    weekDrift: replaced(season.weekDrift, index, week + (drift - day - week) / (weeks + 1)),
    weekCount: replaced(season.weekCount, index, weeks),
  };
}

function at(values: readonly number[], index: number): number {
  return values[index % values.length] ?? 0;
}

function replaced(values: readonly number[], index: number, value: number): readonly number[] {
  return values.with(index % values.length, value);
}
