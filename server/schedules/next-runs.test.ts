import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explainCron, lastRun, nextRuns, type AnchoredSchedule } from "./next-runs.ts";

const HOUR_MS = 3_600_000;

const cron = (expression: string, timezone = "UTC"): AnchoredSchedule => ({
  schedule: { kind: "cron", expression, timezone },
  sinceMs: 0,
});

const runsFrom = (schedule: AnchoredSchedule, from: string, count: number): readonly string[] =>
  nextRuns(schedule, Date.parse(from), count).map((atMs) =>
    new Date(atMs).toISOString().slice(5, 16),
  );

const check = (
  expression: string,
  timezone: string,
  from: string,
  expected: readonly string[],
): void => {
  expect(runsFrom(cron(expression, timezone), from, expected.length)).toEqual(expected);
};

describe("cron over changes of the clock", () => {
  it("a time that is skipped runs once, at the first moment after", () => {
    check("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", [
      ...["03-28T01:30", "03-29T01:00", "03-30T00:30"],
    ]);
    check("30 2 * * *", "America/New_York", "2026-03-07T00:00Z", [
      ...["03-07T07:30", "03-08T07:00", "03-09T06:30"],
    ]);
    // Half an hour is skipped: 02:15 does not exist, 02:30 does.
    check("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T12:00Z", [
      ...["10-02T15:45", "10-03T15:30", "10-04T15:15"],
    ]);
  });

  it("a time that comes twice runs once, the first time", () => {
    check("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00Z", [
      ...["10-24T00:30", "10-25T00:30", "10-26T01:30"],
    ]);
    check("0,30 2 * * *", "Europe/Berlin", "2026-10-24T22:00Z", [
      ...["10-25T00:00", "10-25T00:30", "10-26T01:00", "10-26T01:30"],
    ]);
    check("30 1,2,3 * * *", "Europe/Berlin", "2026-10-24T22:00Z", [
      ...["10-24T23:30", "10-25T00:30", "10-25T02:30", "10-26T00:30"],
    ]);
    check("30 1 * * *", "America/New_York", "2026-10-31T00:00Z", [
      ...["10-31T05:30", "11-01T05:30", "11-02T06:30"],
    ]);
    // The second half of the hour comes twice: 01:45 does, 01:15 does not.
    check("15,45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00Z", [
      ...["04-04T14:15", "04-04T14:45", "04-05T14:45", "04-05T15:15"],
    ]);
  });

  it("every so many minutes goes on in real time through both changes", () => {
    for (const [timezone, from] of [
      ["Europe/Berlin", "2026-03-28T20:00Z"],
      ["Europe/Berlin", "2026-10-24T20:00Z"],
      ["America/New_York", "2026-03-08T03:00Z"],
      ["America/New_York", "2026-11-01T01:00Z"],
      ["Australia/Lord_Howe", "2026-04-04T10:00Z"],
      ["Australia/Lord_Howe", "2026-10-03T10:00Z"],
    ] as const) {
      const runs = nextRuns(cron("*/15 * * * *", timezone), Date.parse(from), 60);
      const gaps = runs.slice(1).map((atMs, index) => atMs - (runs[index] ?? 0));
      expect(new Set(gaps)).toEqual(new Set([HOUR_MS / 4]));
    }
  });
});

describe("next and last runs", () => {
  const expression = fc
    .tuple(
      fc.constantFrom("*", "0", "30", "*/20", "0,45", "15-17"),
      fc.constantFrom("*", "2", "1,2,3", "*/2", "0-4"),
      fc.constantFrom("*", "29", "1-7"),
      fc.constantFrom("*", "3,10", "4,11"),
      fc.constantFrom("*", "0", "6-7"),
    )
    .map((fields) => fields.join(" "));
  const anywhere = fc.record({
    expression,
    timezone: fc.constantFrom("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"),
    // Near a change of each of these zones, or anywhere.
    nearMs: fc.constantFrom(
      ...["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-04", "2026-10-03"].map(
        (day) => Date.parse(`${day}T00:00Z`),
      ),
    ),
    offMs: fc.integer({ min: -12 * HOUR_MS, max: 12 * HOUR_MS }),
  });

  it("rise strictly, and are the same from wherever one asks", () => {
    fc.assert(
      fc.property(anywhere, fc.double({ min: 0, max: 1, noNaN: true }), (at, part) => {
        const schedule = cron(at.expression, at.timezone);
        const fromMs = at.nearMs + at.offMs;
        const runs = nextRuns(schedule, fromMs, 6);
        let beforeMs = fromMs;
        for (const atMs of runs) {
          expect(atMs).toBeGreaterThan(beforeMs);
          const betweenMs = Math.floor(beforeMs + part * (atMs - beforeMs - 1));
          expect(nextRuns(schedule, betweenMs, 1)).toEqual([atMs]);
          expect(lastRun(schedule, atMs)).toBe(atMs);
          if (beforeMs !== fromMs) expect(lastRun(schedule, atMs - 1)).toBe(beforeMs);
          beforeMs = atMs;
        }
      }),
      { numRuns: 150 },
    );
  });

  it("a named local time runs at most once a day", () => {
    fc.assert(
      fc.property(anywhere, (at) => {
        const named = at.expression.replace(/^(\S+) \S+/, "$1 2");
        const runs = nextRuns(cron(named, at.timezone), at.nearMs + at.offMs, 200);
        const format = new Intl.DateTimeFormat("en-GB", {
          timeZone: at.timezone,
          dateStyle: "short",
          timeStyle: "short",
        });
        expect(new Set(runs.map((atMs) => format.format(atMs))).size).toBe(runs.length);
      }),
      { numRuns: 20 },
    );
  });

  it("of a period count from when it began, and not before", () => {
    const schedule = { schedule: { kind: "period", periodMs: 7_000 }, sinceMs: 1_000 } as const;
    expect(nextRuns(schedule, -50_000, 2)).toEqual([8_000, 15_000]);
    expect(nextRuns(schedule, 8_000, 1)).toEqual([15_000]);
    expect([lastRun(schedule, 7_999), lastRun(schedule, 8_000)]).toEqual([undefined, 8_000]);
  });
});

describe("expressions that cannot be", () => {
  const why = (expression: string, timezone = "UTC"): string | undefined =>
    explainCron({ kind: "cron", expression, timezone }, 0);

  it("are explained", () => {
    expect(why("* * * * * *")).toMatch(/five fields: .*6 parts/);
    expect(why("61 * * * *")).toMatch(/minute: 61/);
    expect(why("@every 1ms")).toMatch(/five/);
    expect(why("*/0 * * * *")).toMatch(/stepping/);
    expect(why("0 0 31 2 *")).toMatch(/never comes/);
    expect(why("0 0 * * *", "Mars/Phobos")).toMatch(/no time zone "Mars/);
  });

  it("and those that can are not", () => {
    for (const fine of ["*/5 * * * *", "0 0 29 2 *", "@daily", "0 9 * * 1#1", "0 0 L * *"]) {
      expect(why(fine, "Europe/Berlin")).toBeUndefined();
    }
  });
});
