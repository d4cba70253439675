import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dueRuns, MISSED_COUNT_MAX } from "./due-runs.ts";
import { nextRuns, type AnchoredSchedule } from "./next-runs.ts";

const MINUTE_MS = 60_000;
const POLICY = { punctualMs: 5_000 };

const everyMinute: AnchoredSchedule = {
  schedule: { kind: "period", periodMs: MINUTE_MS },
  sinceMs: 0,
};

describe("what is due", () => {
  it("is nothing before its time, also when the clock was set back", () => {
    const due = dueRuns(everyMinute, 10 * MINUTE_MS, 3 * MINUTE_MS, POLICY);
    expect(due).toEqual({ runs: [], nextMs: 10 * MINUTE_MS });
  });

  it("runs at its time, and each of several that are hardly late", () => {
    expect(dueRuns(everyMinute, MINUTE_MS, MINUTE_MS, POLICY)).toEqual({
      runs: [MINUTE_MS],
      nextMs: 2 * MINUTE_MS,
    });
    const fast: AnchoredSchedule = { schedule: { kind: "period", periodMs: 1_000 }, sinceMs: 0 };
    expect(dueRuns(fast, 2_000, 4_500, POLICY)).toEqual({
      runs: [2_000, 3_000, 4_000],
      nextMs: 5_000,
    });
  });

  it("after an absence is the latest one, and the others are one gap that was missed", () => {
    expect(dueRuns(everyMinute, MINUTE_MS, 5 * MINUTE_MS + 30_000, POLICY)).toEqual({
      runs: [5 * MINUTE_MS],
      missed: { firstDueAtMs: MINUTE_MS, lastDueAtMs: 4 * MINUTE_MS, count: 4 },
      nextMs: 6 * MINUTE_MS,
    });
  });

  it("runs nothing that is later than the grace", () => {
    const strict = { ...everyMinute, schedule: { ...everyMinute.schedule, graceMs: 20_000 } };
    expect(dueRuns(strict, MINUTE_MS, 2 * MINUTE_MS + 30_000, POLICY)).toEqual({
      runs: [],
      missed: { firstDueAtMs: MINUTE_MS, lastDueAtMs: 2 * MINUTE_MS, count: 2 },
      nextMs: 3 * MINUTE_MS,
    });
  });

  it("counts what was missed in a year up to a bound, and knows the last of it", () => {
    const yearMs = 365 * 24 * 60 * MINUTE_MS;
    const due = dueRuns(everyMinute, MINUTE_MS, yearMs, POLICY);
    expect(due.runs).toEqual([yearMs]);
    expect(due.missed).toEqual({
      firstDueAtMs: MINUTE_MS,
      lastDueAtMs: yearMs - MINUTE_MS,
      count: MISSED_COUNT_MAX,
    });
  });
});

/** Looks again and again, at moments that may go back, as a server does between crashes. */
function lookAt(schedule: AnchoredSchedule, startMs: number, looks: readonly number[]) {
  const runs: number[] = [];
  let missedCount = 0;
  let [nextMs] = nextRuns(schedule, startMs, 1);
  for (const nowMs of looks) {
    if (nextMs === undefined) break;
    const due = dueRuns(schedule, nextMs, nowMs, POLICY);
    runs.push(...due.runs);
    missedCount += due.missed?.count ?? 0;
    nextMs = due.nextMs;
  }
  return { runs, missedCount };
}

describe("over changes of the clock, absences and clocks that jump", () => {
  const world = fc.record({
    schedule: fc
      .record({
        expression: fc.constantFrom("*/10 * * * *", "30 2 * * *", "0,30 2 * * *", "45 1-3 * * *"),
        timezone: fc.constantFrom("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"),
        graceMs: fc.constantFrom(0, 600_000, 86_400_000),
      })
      .map((fields) => ({ schedule: { kind: "cron", ...fields } as const, sinceMs: 0 })),
    startMs: fc
      .constantFrom(
        "2026-03-28",
        "2026-10-24",
        "2026-03-07",
        "2026-10-31",
        "2026-04-04",
        "2026-10-03",
      )
      .map((day) => Date.parse(`${day}T12:00Z`)),
    /** Steps between looks: mostly seconds, some hours, some back. */
    stepsMs: fc.array(
      fc.oneof(
        fc.integer({ min: 400, max: 5_000 }),
        fc.integer({ min: 0, max: 8 * 3_600_000 }),
        fc.integer({ min: -2 * 3_600_000, max: 0 }),
      ),
      { maxLength: 40 },
    ),
  });

  it("every scheduled time runs or is missed exactly once, and none runs twice", () => {
    fc.assert(
      fc.property(world, ({ schedule, startMs, stepsMs }) => {
        const looks: number[] = [];
        let nowMs = startMs;
        for (const stepMs of stepsMs) looks.push((nowMs += stepMs));
        const { runs, missedCount } = lookAt(schedule, startMs, looks);
        const untilMs = Math.max(startMs, ...looks);
        const expected = nextRuns(schedule, startMs, 400).filter((atMs) => atMs <= untilMs);
        expect(new Set(runs).size).toBe(runs.length);
        expect(runs.every((atMs) => expected.includes(atMs))).toBe(true);
        expect(runs.length + missedCount).toBe(expected.length);
      }),
      { numRuns: 40 },
    );
  });
});
