import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { scheduleTable } from "./commands/cron.ts";
import { UsageError } from "./errors.ts";
import type { ScheduleInfo } from "./protocol/schedule.ts";
import { registeredApps } from "./registry.ts";

beforeEach(() => registeredApps().clear());
afterEach(() => registeredApps().clear());

const app = new App("demo");
type Loose = (...args: unknown[]) => unknown;

describe("schedules", () => {
  test("are data of the spec", () => {
    const spec = { schedule: app.cron("0 7 * * 1-5", { timezone: "Europe/Berlin" }) };
    expect(app.function(spec, () => 1).spec.schedule).toEqual({
      kind: "cron",
      expression: "0 7 * * 1-5",
      timezone: "Europe/Berlin",
    });
    expect(app.period({ hours: 1, minutes: 0.5, graceMs: 0 })).toEqual({
      kind: "period",
      periodMs: 3_630_000,
      graceMs: 0,
    });
  });

  test.each([
    ["* * * *", {}, /five fields.*got "\* \* \* \*"/],
    ["* * * * * *", {}, /five fields/],
    ["@every 1ms", {}, /five fields/],
    ["", {}, /five fields/],
    [7, {}, /five fields/],
    ["@daily", { timezone: "Mars/Phobos" }, /no time zone "Mars\/Phobos"/],
    ["@daily", { timeZone: "UTC" }, /no option "timeZone"; there are timezone, graceMs/],
    ["@daily", { graceMs: -1 }, /graceMs must be a whole number from 0 to 86400000/],
    ["@daily", null, /options must be an object/],
  ])("app.cron(%j, %j) is refused", (expression, options, message) => {
    const cron = app.cron.bind(app) as Loose;
    expect(() => cron(expression, options)).toThrow(message);
    expect(() => cron(expression, options)).toThrow(UsageError);
  });

  test.each([
    [{}, /1 second to 365 days.*got 0 ms/],
    [{ seconds: 0.5 }, /got 500 ms/],
    [{ days: 366 }, /1 second to 365 days/],
    [{ minutes: -5 }, /minutes must be a number from 0, got -5/],
    [{ minutes: Infinity }, /minutes must be a number/],
    [{ minutes: Number.NaN }, /minutes must be a number/],
    [{ minute: 5 }, /no option "minute"/],
  ])("app.period(%j) is refused", (options, message) => {
    const period = app.period.bind(app) as Loose;
    expect(() => period(options)).toThrow(message);
  });

  test("are for functions that need no arguments, and for no class or variant", () => {
    const schedule = app.cron("@daily");
    const define = app.function.bind(app) as Loose;
    expect(() => define({ schedule }, (day: unknown) => day)).toThrow(/called without arguments/);
    expect(() => define({ schedule }, (day = "today") => day)).not.toThrow();
    expect(() => define({ schedule: "* * * * *" }, () => 1)).toThrow(
      /must be a schedule: app.cron/,
    );
    expect(() => define({ schedule: null }, () => 1)).toThrow(/must be a schedule: app.cron/);
    const cls = app.cls.bind(app) as Loose;
    expect(() => cls({ schedule }, Map)).toThrow(/a class has no schedule/);
    const variant = app.function({}, () => 1).withOptions.bind(app.function({}, () => 1)) as Loose;
    expect(() => variant({ schedule })).toThrow(/cannot change a schedule/);
  });
});

test("schedules are shown with the next run, the last one and what was missed", () => {
  const at = (time: string): number => Date.parse(`2026-03-02T${time}Z`);
  const info: ScheduleInfo = {
    app: "demo",
    function: "report",
    schedule: { kind: "cron", expression: "*/5 * * * *", timezone: "Europe/Berlin" },
    state: "active",
    nextRunsAtMs: [at("12:10"), at("12:15")],
    lastRuns: [
      {
        dueAtMs: at("12:05"),
        state: "missed",
        missed: { count: 2, firstDueAtMs: at("12:00"), reason: "no server was there to run it" },
      },
      { dueAtMs: at("11:55"), state: "failed", callId: "ca_1" },
    ],
    missedCount: 2,
  };
  const paused: ScheduleInfo = {
    ...info,
    schedule: { kind: "period", periodMs: 90_000 },
    state: "paused",
    nextRunsAtMs: [],
    lastRuns: [],
    missedCount: 0,
  };
  const [, first, second] = scheduleTable([info, paused]).split("\n");
  expect(first).toMatch(
    /demo +report +\*\/5 \* \* \* \* Europe\/Berlin +active +2026-03-02 12:10:00/,
  );
  expect(first).toMatch(/2026-03-02 11:55:00 failed +2, last 2026-03-02 12:05:00/);
  expect(second).toMatch(/every 90 s +paused +- +- +0/);
});
