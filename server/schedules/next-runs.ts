/**
 * When a schedule runs: pure, and the same whatever moment one asks from.
 *
 * Cron expressions are read by croner (decision 0016), in a time zone. Over changes of the clock:
 *
 * - An expression whose hour is `*` follows real time: it runs in both passes of a repeated hour,
 *   and a skipped one takes nothing from its distance.
 * - One that names hours runs once for each local time: in the first pass of a repeated hour. When
 *   the only time of a day falls into a skipped hour, it runs at the first moment after it; of
 *   several times of a day, those that are skipped do not run or run then.
 *
 * A period counts from when its function was first deployed with it.
 */
import { Cron } from "croner";
import type { CronSchedule, Schedule } from "../../sdk/protocol/index.ts";

/** A schedule, and the moment from which a period counts. */
export interface AnchoredSchedule {
  readonly schedule: Schedule;
  readonly sinceMs: number;
}

/** A change of the clock is looked for this far back; the longest known one is 2 hours. */
const CHANGE_MS_MAX = 3 * 3_600_000;
/** Parsed expressions kept; more are parsed again. */
const PARSED_MAX = 2_000;

/**
 * The next `count` scheduled times after a moment, soonest first; fewer, when there are no more.
 *
 * @param afterMs Times at this very moment are not among them.
 * @throws AssertionError-like errors of the parser on expressions that `explainCron` refuses.
 */
export function nextRuns(
  { schedule, sinceMs }: AnchoredSchedule,
  afterMs: number,
  count: number,
): readonly number[] {
  if (schedule.kind === "cron") return nextCronRuns(schedule, afterMs, count);
  const { periodMs } = schedule;
  const first = Math.max(1, Math.floor((afterMs - sinceMs) / periodMs) + 1);
  return Array.from({ length: count }, (_, index) => sinceMs + (first + index) * periodMs);
}

/** The last scheduled time up to a moment, that moment included; undefined before the first. */
export function lastRun(
  { schedule, sinceMs }: AnchoredSchedule,
  nowMs: number,
): number | undefined {
  if (schedule.kind === "cron") return lastCronRun(schedule, nowMs);
  const passed = Math.floor((nowMs - sinceMs) / schedule.periodMs);
  return passed < 1 ? undefined : sinceMs + passed * schedule.periodMs;
}

/** Why a cron schedule cannot be; undefined when it can. */
export function explainCron(schedule: CronSchedule, nowMs: number): string | undefined {
  const { expression, timezone = "UTC" } = schedule;
  if (!isTimezone(timezone)) {
    return `there is no time zone "${timezone}"; write it as "Europe/Berlin"`;
  }
  try {
    if (nextCronRuns(schedule, nowMs, 1).length > 0) return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : "";
    return `"${expression}" is no cron expression of five fields: ${why}`;
  }
  return `"${expression}" never comes: there is no such day`;
}

function nextCronRuns(schedule: CronSchedule, afterMs: number, count: number): readonly number[] {
  const cron = parsed(schedule);
  const runs: number[] = [];
  let atMs = afterMs;
  while (runs.length < count) {
    const next = cron.nextRun(new Date(atMs));
    if (next === null) break;
    atMs = next.getTime();
    if (!isSecondPass(schedule, atMs)) runs.push(atMs);
  }
  return runs;
}

function lastCronRun(schedule: CronSchedule, nowMs: number): number | undefined {
  const cron = parsed(schedule);
  // The parser looks at whole seconds and leaves out the given one.
  let beforeMs = Math.floor(nowMs / 1_000) * 1_000 + 1_000;
  for (;;) {
    const [last] = cron.previousRuns(1, new Date(beforeMs));
    if (last === undefined) return undefined;
    beforeMs = last.getTime();
    if (!isSecondPass(schedule, beforeMs)) return beforeMs;
  }
}

/** Whether a local time that is named has been an hour before already, by the same clock. */
function isSecondPass({ expression, timezone = "UTC" }: CronSchedule, atMs: number): boolean {
  if (timezone === "UTC" || followsRealTime(expression)) return false;
  const offsetMs = offsetMsOf(timezone, atMs);
  const setBackMs = offsetMsOf(timezone, atMs - CHANGE_MS_MAX) - offsetMs;
  return setBackMs > 0 && offsetMsOf(timezone, atMs - setBackMs) === offsetMs + setBackMs;
}

function followsRealTime(expression: string): boolean {
  if (expression.startsWith("@")) return /^@hourly$/i.test(expression);
  return expression.split(/ +/)[1] === "*";
}

const parsedCrons = new Map<string, Cron>();

function parsed({ expression, timezone = "UTC" }: CronSchedule): Cron {
  const key = `${timezone} ${expression}`;
  const known = parsedCrons.get(key);
  if (known !== undefined) return known;
  const cron = new Cron(expression, { timezone, mode: "5-part", paused: true });
  if (parsedCrons.size >= PARSED_MAX) parsedCrons.clear();
  parsedCrons.set(key, cron);
  return cron;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const fields = { year: "numeric", month: "numeric", day: "numeric" } as const;
  const times = { hour: "numeric", minute: "numeric", second: "numeric" } as const;
  const format = new Intl.DateTimeFormat("en-US", {
    ...fields,
    ...times,
    timeZone,
    hourCycle: "h23",
  });
  formats.set(timeZone, format);
  return format;
}

/** How far the clocks of a time zone are ahead of UTC at a moment, in ms. */
function offsetMsOf(timezone: string, atMs: number): number {
  const wholeMs = Math.floor(atMs / 1_000) * 1_000;
  const parts = formatOf(timezone).formatToParts(wholeMs);
  const read = (type: string): number => Number(parts.find((part) => part.type === type)?.value);
  const [hour, minute, second] = [read("hour"), read("minute"), read("second")];
  const localMs = Date.UTC(read("year"), read("month") - 1, read("day"), hour, minute, second);
  return localMs - wholeMs;
}

function isTimezone(timezone: string): boolean {
  try {
    formatOf(timezone);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
