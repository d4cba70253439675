import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { App } from "../../sdk/index.ts";
import type { CallStatus, ScheduleInfo, ScheduleRun } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const PERIOD_MS = 2_000;
const APP = "clockwork";

describe("functions that are called by schedule", () => {
  const platform = new TestPlatform();
  /** Everything that was ever listed of `ticks`, by scheduled time. */
  const seen = new Map<number, ScheduleRun>();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/cron.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const listed = (app: string): readonly ScheduleInfo[] =>
    (JSON.parse(platform.cli("cron", "list", app, "--json")) as { schedules: ScheduleInfo[] })
      .schedules;

  const ticks = (): ScheduleInfo => {
    const found = listed(APP).find((each) => each.function === "ticks");
    if (found === undefined) throw new Error("ticks has no schedule");
    for (const run of found.lastRuns) seen.set(run.dueAtMs, run);
    return found;
  };

  const succeededSince = (sinceMs: number): number => {
    ticks();
    const runs = [...seen.values()].filter((run) => run.dueAtMs > sinceMs);
    return runs.filter((run) => run.state === "succeeded").length;
  };

  const poll = { timeout: 60_000, interval: 500 };

  it("are listed with their next runs as soon as they are deployed", () => {
    const [yearly] = listed("calendar");
    expect(yearly).toMatchObject({ state: "active", lastRuns: [], missedCount: 0 });
    const [next = 0] = yearly?.nextRunsAtMs ?? [];
    expect(new Date(next).toISOString()).toMatch(/-01-01T01:30:00/);
    expect(platform.cli("cron", "list")).toMatch(/yearly +30 2 1 1 \* Europe\/Berlin +active/);
  });

  it("can be run by hand, which takes no scheduled time's place", () => {
    const before = listed("calendar");
    const ran = platform.tryCli("cron", "run", "calendar", "yearly");
    expect(ran.stderr).toMatch(
      /^Running calendar\/yearly now, by hand, beside its schedule \(next scheduled run \d{4}-01-01 01:30:00 UTC\)\n/,
    );
    expect(ran.status).toBe(0);
    expect(listed("calendar")).toEqual(before);
    platform.cli("cron", "pause", "calendar", "yearly");
    const paused = platform.tryCli("cron", "run", "calendar", "yearly");
    expect([paused.status, paused.stdout]).toEqual([0, "happy new year\n"]);
    expect(paused.stderr).toContain("(it is paused)");
    platform.cli("cron", "resume", "calendar", "yearly");
    const wrong = platform.tryCli("cron", "run", "calendar", "yearlly");
    expect(wrong.status).toBe(4);
    expect(wrong.stderr).toContain('has no schedule: did you mean "yearly"?');
  });

  it("run at each time once, or are told as missed, while the platform is killed", async () => {
    await expect.poll(() => succeededSince(0), poll).toBeGreaterThanOrEqual(3);
    const killedAtMs = Date.now();
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start();
    await expect.poll(() => succeededSince(killedAtMs), poll).toBeGreaterThanOrEqual(3);
    // A new version goes on with the same schedule.
    platform.cli("deploy", "tests/fixtures/cron.ts");
    const deployedAtMs = Date.now();
    await expect.poll(() => succeededSince(deployedAtMs), poll).toBeGreaterThanOrEqual(2);
    platform.cli("cron", "pause", APP, "ticks");
    const isOpen = (run: ScheduleRun): boolean => /starting|running/.test(run.state);
    await expect.poll(() => ticks().lastRuns.filter(isOpen), poll).toEqual([]);
    await expectEachTimeOnce();
    await expectPauseAndEnd();
  });

  it("are refused when they cannot be", () => {
    const wrong = (): unknown => new App("wrong").cron("* * * *");
    expect(wrong).toThrow(/five fields/);
    const result = platform.tryCli("cron", "pause", "nothing", "here");
    expect(result).toMatchObject({ status: 4 });
  });

  /** Without a hole and without a double: each time has one call with one result, or was missed. */
  async function expectEachTimeOnce(): Promise<void> {
    const runs = [...seen.values()].sort((a, b) => a.dueAtMs - b.dueAtMs);
    const covered = runs.flatMap(({ dueAtMs, missed }) => {
      const firstMs = missed?.firstDueAtMs ?? dueAtMs;
      const count = 1 + (dueAtMs - firstMs) / PERIOD_MS;
      return Array.from({ length: count }, (_, index) => firstMs + index * PERIOD_MS);
    });
    const [first = 0] = covered;
    expect(covered).toEqual(covered.map((_, index) => first + index * PERIOD_MS));
    const callIds = runs.flatMap(({ callId }) => callId ?? []);
    expect(new Set(callIds).size).toBe(callIds.length);
    for (const callId of callIds) {
      const call = await platform.get<CallStatus>(`/v1/calls/${callId}`);
      expect(call).toMatchObject({ inputCount: 1, finishedCount: 1, failedCount: 0 });
    }
    const missedCount = covered.length - callIds.length;
    expect(ticks().missedCount).toBe(missedCount);
  }

  /** Nothing runs while it is paused, and nothing once its app is stopped. */
  async function expectPauseAndEnd(): Promise<void> {
    const [latest] = ticks().lastRuns;
    expect(ticks()).toMatchObject({ state: "paused", nextRunsAtMs: [] });
    const resumedAtMs = Date.now();
    platform.cli("cron", "resume", APP, "ticks");
    await expect.poll(() => succeededSince(resumedAtMs), poll).toBeGreaterThanOrEqual(1);
    const between = [...seen.keys()].filter(
      (dueAtMs) => dueAtMs > (latest?.dueAtMs ?? 0) && dueAtMs < resumedAtMs,
    );
    expect(between).toEqual([]);
    platform.cli("app", "stop", APP);
    await expect
      .poll(() => platform.get(`/v1/schedules?app=${APP}`), poll)
      .toEqual({ schedules: [] });
  }
});
