/** Schedules as they are written in code, and what of them can be checked before sending. */
import { UsageError } from "./errors.ts";
import type { CronSchedule, PeriodSchedule, Schedule } from "./protocol/schedule.ts";
import type { WrittenSpec } from "./written-spec.ts";

/** The options of a function with these arguments: only one that needs none has a schedule. */
export type SpecFor<Args extends unknown[]> = ([] extends Args
  ? WrittenSpec
  : WrittenSpec & { readonly schedule?: never }) & { readonly batched?: never };

/** How the times of a cron expression are read. */
export interface CronOptions {
  /** Name in the IANA time zone database, such as `Europe/Berlin`. Default UTC. */
  readonly timezone?: string;
  /** See `Schedule`. Default 10 minutes. */
  readonly graceMs?: number;
}

/** A time from one run to the next: the sum of what is given. */
export interface PeriodOptions {
  readonly days?: number;
  readonly hours?: number;
  readonly minutes?: number;
  readonly seconds?: number;
  /** See `Schedule`. Default 10 minutes. */
  readonly graceMs?: number;
}

const MS_PER = { days: 86_400_000, hours: 3_600_000, minutes: 60_000, seconds: 1_000 } as const;
const PERIOD_MS_MIN = 1_000;
const PERIOD_MS_MAX = 365 * 86_400_000;
const GRACE_MS_MAX = 86_400_000;
const EXPRESSION = /^(@(yearly|annually|monthly|weekly|daily|hourly)|\S+( +\S+){4})$/i;

/** @throws UsageError naming what is wrong; the server checks the fields one by one. */
export function cronSchedule(expression: string, options: CronOptions): CronSchedule {
  if (typeof expression !== "string" || !EXPRESSION.test(expression)) {
    throw new UsageError(
      'app.cron needs five fields (minute, hour, day, month, weekday), such as "*/5 * * * *", ' +
        `or "@daily", got ${JSON.stringify(expression)}`,
    );
  }
  refuseOthers("app.cron", options, ["timezone", "graceMs"]);
  checkTimezone(options.timezone);
  return { kind: "cron", expression, ...options, ...graceOf("app.cron", options) };
}

/** @throws UsageError naming what is wrong. */
export function periodSchedule(options: PeriodOptions): PeriodSchedule {
  const units = Object.keys(MS_PER) as (keyof typeof MS_PER)[];
  refuseOthers("app.period", options, [...units, "graceMs"]);
  let periodMs = 0;
  for (const unit of units) {
    const value = options[unit] ?? 0;
    if (typeof value !== "number" || !(value >= 0) || value === Infinity) {
      throw new UsageError(`app.period: ${unit} must be a number from 0, got ${String(value)}`);
    }
    periodMs += value * MS_PER[unit];
  }
  periodMs = Math.round(periodMs);
  if (periodMs < PERIOD_MS_MIN || periodMs > PERIOD_MS_MAX) {
    throw new UsageError(
      `app.period must come to 1 second to 365 days, such as { minutes: 5 }, got ${periodMs} ms`,
    );
  }
  return { kind: "period", periodMs, ...graceOf("app.period", options) };
}

/** What is wrong with a value that stands where a schedule must; undefined when nothing is. */
export function checkSchedule(value: unknown): string | undefined {
  const kind = (value as Partial<Schedule> | null)?.kind;
  if (kind === "cron" || kind === "period") return undefined;
  return 'must be a schedule: app.cron("*/5 * * * *") or app.period({ minutes: 5 })';
}

function refuseOthers(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || (options as unknown) === null) {
    throw new UsageError(`${what}: the options must be an object`);
  }
  const other = Object.keys(options).find((key) => !known.includes(key));
  if (other === undefined) return;
  throw new UsageError(`${what} has no option "${other}"; there are ${known.join(", ")}`);
}

function checkTimezone(timezone: string | undefined): void {
  if (timezone === undefined) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch (error) {
    throw new UsageError(
      `app.cron: there is no time zone ${JSON.stringify(timezone)} (${String(error)}); ` +
        'write it as "Europe/Berlin"',
    );
  }
}

function graceOf(what: string, { graceMs }: { readonly graceMs?: number }): { graceMs?: number } {
  if (graceMs === undefined) return {};
  if (Number.isInteger(graceMs) && graceMs >= 0 && graceMs <= GRACE_MS_MAX) return { graceMs };
  throw new UsageError(
    `${what}: graceMs must be a whole number from 0 to ${GRACE_MS_MAX} (24 h), got ${graceMs}`,
  );
}
