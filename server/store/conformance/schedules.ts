/** Schedules of functions, and what became of their times. */
import { expect, it } from "vitest";
import type { Schedule } from "../../../sdk/protocol/index.ts";
import type { Fence, NewDeployment, RecordStore } from "../record-store.ts";
import { RUNS_KEPT, type ScheduleStep, type StoredRun } from "../schedule-store.ts";
import { aDeployment, type OpenBench } from "./samples.ts";

const FENCE: Fence = { name: "schedules", token: 2 };
const KEY = { workspaceId: "ws_1", app: "search", name: "report" };
const EVERY_MINUTE: Schedule = { kind: "period", periodMs: 60_000 };

function scheduled(
  appId: string,
  schedule: Schedule = EVERY_MINUTE,
  changes: Partial<NewDeployment> = {},
): NewDeployment {
  const functions = [
    { functionId: `${appId}.report`, name: "report", spec: { cpu: 1, schedule } },
    { functionId: `${appId}.plain`, name: "plain", spec: {} },
  ];
  return aDeployment(appId, { functions, ...changes });
}

const begun = { ...KEY, schedule: EVERY_MINUTE, sinceMs: 1_000, nextMs: 61_000, missedCount: 0 };

function stepTo(nextMs: number, fromNextMs: number, runs: readonly StoredRun[]): ScheduleStep {
  return { key: KEY, fromNextMs, nextMs, runs };
}

const starting = (dueAtMs: number): StoredRun => ({ ...KEY, dueAtMs, state: "starting" });

async function deployed(store: RecordStore): Promise<void> {
  await store.registry.deploy(scheduled("ap_1"));
  await store.schedules.note(FENCE, [begun], []);
}

/** Declares the suite of `RecordStore.schedules` and `RecordStore.scheduleRuns`. */
export function testSchedules(open: OpenBench): void {
  testDeployments(open);
  testSteps(open);
}

function testDeployments({ store, reopen }: OpenBench): void {
  it("tells of scheduled functions that were deployed, once, and not of ephemeral or plain ones", async () => {
    const { registry, schedules } = store();
    await registry.deploy(scheduled("ap_e", EVERY_MINUTE, { mode: "ephemeral", app: "other" }));
    await registry.deploy(scheduled("ap_1"));
    const { begun: fresh } = await schedules.changes();
    expect(fresh).toEqual([{ ...KEY, schedule: EVERY_MINUTE, deployedAtMs: 1_000 }]);
    await schedules.note(FENCE, [begun], []);
    expect(await (await reopen()).schedules.changes()).toEqual({ begun: [], ended: [] });
    expect(await store().schedules.list()).toEqual([
      { ...begun, functionId: "ap_1.report", appId: "ap_1" },
    ]);
  });

  it("keeps a schedule, its runs and its pause over versions, and calls the newest", async () => {
    await deployed(store());
    await store().schedules.step(FENCE, [stepTo(121_000, 61_000, [starting(61_000)])]);
    await store().schedules.pause(KEY, { pausedAtMs: 70_000, nextMs: 121_000 });
    await store().registry.deploy(scheduled("ap_2", EVERY_MINUTE, { createdAtMs: 90_000 }));
    expect(await store().schedules.changes()).toEqual({ begun: [], ended: [] });
    expect(await store().schedules.list()).toMatchObject([
      { functionId: "ap_2.report", sinceMs: 1_000, nextMs: 121_000, pausedAtMs: 70_000 },
    ]);
    expect(await store().scheduleRuns.latest(KEY, 5)).toEqual([starting(61_000)]);
  });

  it("tells of a schedule that was changed, and of one whose app was stopped", async () => {
    await deployed(store());
    const other: Schedule = { kind: "cron", expression: "0 7 * * *", timezone: "Europe/Berlin" };
    await store().registry.deploy(scheduled("ap_2", other, { createdAtMs: 90_000 }));
    expect((await store().schedules.changes()).begun).toEqual([
      { ...KEY, schedule: other, deployedAtMs: 90_000 },
    ]);
    await store().registry.stop("ap_2", 95_000);
    expect(await store().schedules.changes()).toEqual({ begun: [], ended: [KEY] });
    expect(await store().schedules.list()).toEqual([]);
    await store().schedules.note(FENCE, [], [KEY]);
    expect(await store().schedules.changes()).toEqual({ begun: [], ended: [] });
    expect(await store().schedules.pause(KEY, {})).toBe(false);
    await store().registry.deploy(scheduled("ap_3", other));
    expect((await store().schedules.changes()).begun).toHaveLength(1);
  });

  it("lists what is due, soonest first, and not what is paused", async () => {
    await deployed(store());
    const due = async (nowMs: number) => store().schedules.list({ nowMs, limit: 10 });
    expect(await due(60_999)).toEqual([]);
    expect(await due(61_000)).toHaveLength(1);
    await store().schedules.pause(KEY, { pausedAtMs: 5, nextMs: 61_000 });
    expect(await due(61_000)).toEqual([]);
    await store().schedules.pause(KEY, { nextMs: 121_000 });
    expect(await due(120_999)).toEqual([]);
    expect(await due(121_000)).toHaveLength(1);
  });
}

function testSteps({ store, reopen }: OpenBench): void {
  it("drops a step from where the schedule no longer is, and one of a paused schedule", async () => {
    await deployed(store());
    const { schedules, scheduleRuns } = store();
    const step = stepTo(121_000, 61_000, [starting(61_000)]);
    await schedules.step(FENCE, [step]);
    await schedules.step(FENCE, [stepTo(181_000, 61_000, [starting(121_000)])]);
    await schedules.pause(KEY, { pausedAtMs: 5, nextMs: 121_000 });
    await schedules.step(FENCE, [stepTo(181_000, 121_000, [starting(121_000)])]);
    expect(await scheduleRuns.latest(KEY, 5)).toEqual([starting(61_000)]);
    expect((await schedules.list())[0]?.nextMs).toBe(121_000);
  });

  it("keeps what a scheduled time has, whatever is written about it later", async () => {
    await deployed(store());
    const { schedules, scheduleRuns } = store();
    await schedules.step(FENCE, [stepTo(121_000, 61_000, [starting(61_000)])]);
    const started: StoredRun = { ...starting(61_000), state: "started", callId: "ca_1" };
    await schedules.settle(FENCE, [started]);
    // As after a clock that was set back.
    await schedules.step(FENCE, [stepTo(61_000, 121_000, [])]);
    await schedules.step(FENCE, [stepTo(121_000, 61_000, [starting(61_000)])]);
    const missed = { count: 1, firstDueAtMs: 61_000, reason: "late" };
    await schedules.settle(FENCE, [{ ...starting(61_000), state: "missed", missed }]);
    expect(await scheduleRuns.latest(KEY, 5)).toEqual([started]);
    expect(await scheduleRuns.starting(5)).toEqual([]);
    expect((await schedules.list())[0]?.missedCount).toBe(0);
  });

  it("counts what was missed, once", async () => {
    await deployed(store());
    const missed = { count: 3, firstDueAtMs: 61_000, reason: "nobody was there" };
    const gap: StoredRun = { ...KEY, dueAtMs: 181_000, state: "missed", missed };
    await store().schedules.step(FENCE, [stepTo(301_000, 61_000, [gap, starting(241_000)])]);
    await store().schedules.step(FENCE, [stepTo(301_000, 61_000, [gap])]);
    const late = { ...starting(241_000), missed: { ...missed, count: 1 } };
    await store().schedules.settle(FENCE, [{ ...late, state: "missed" }]);
    await store().schedules.settle(FENCE, [{ ...late, state: "missed" }]);
    expect((await store().schedules.list())[0]?.missedCount).toBe(4);
    expect(await (await reopen()).scheduleRuns.latest(KEY, 5)).toEqual([
      { ...late, state: "missed" },
      gap,
    ]);
  });

  it("refuses whoever led before, with nothing written", async () => {
    await deployed(store());
    await store().fences.claim({ ...FENCE, token: 3 });
    const conflict = { code: "conflict" };
    const { schedules } = store();
    const step = stepTo(121_000, 61_000, [starting(61_000)]);
    await expect(schedules.step(FENCE, [step])).rejects.toMatchObject(conflict);
    await expect(schedules.note(FENCE, [], [KEY])).rejects.toMatchObject(conflict);
    await expect(schedules.settle(FENCE, [starting(61_000)])).rejects.toMatchObject(conflict);
    expect(await store().scheduleRuns.latest(KEY, 5)).toEqual([]);
    expect((await schedules.list())[0]?.nextMs).toBe(61_000);
  });

  it("keeps the latest runs of each schedule, and all that are starting", async () => {
    await deployed(store());
    const { schedules, scheduleRuns } = store();
    const dueAt = (index: number): number => 61_000 + 60_000 * index;
    for (let index = 0; index < RUNS_KEPT + 20; index += 1) {
      const run = starting(dueAt(index));
      await schedules.step(FENCE, [stepTo(dueAt(index + 1), dueAt(index), [run])]);
      if (index > 0) await schedules.settle(FENCE, [{ ...run, state: "started", callId: "ca" }]);
    }
    const kept = await scheduleRuns.latest(KEY, 1_000);
    expect(kept[0]?.dueAtMs).toBe(dueAt(RUNS_KEPT + 19));
    expect(kept).toHaveLength(RUNS_KEPT + 1);
    expect(await scheduleRuns.starting(5)).toEqual([starting(dueAt(0))]);
  });
}
