/**
 * Calls functions at their scheduled times, on the one server that holds the lease.
 *
 * A scheduled time is written as a run that is `starting`, in the same transaction that moves
 * its schedule on, and only then called; the id of the call follows from function and time. So a
 * crash at any point leaves a run that the next round, or the next leader, starts again under the
 * same id, which starts nothing twice. What passed while nobody looked is written and told.
 */
import { messageOf, PlatformError, type Clock } from "../../core/index.ts";
import { encodeValue } from "../../sdk/protocol/index.ts";
import type { Leadership } from "../fleet/leadership.ts";
import type { CallService, EventBus } from "../services.ts";
import type { Fence, FunctionKey, RecordStore } from "../store/record-store.ts";
import type { LiveSchedule, ScheduleStep, StoredRun } from "../store/schedule-store.ts";
import { dueRuns, GRACE_MS } from "./due-runs.ts";
import { nextRuns } from "./next-runs.ts";
import { scheduledCallId } from "./run-id.ts";

export interface ScheduleKeeperOptions {
  readonly store: Pick<RecordStore, "schedules" | "scheduleRuns" | "calls">;
  readonly calls: Pick<CallService, "create">;
  readonly leadership: Pick<Leadership, "lead" | "deposed" | "close">;
  readonly events: Pick<EventBus, "publish">;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

const LOOK_EVERY_MS = 500;
/** Rounds may be late by this much without a scheduled time being missed. */
const PUNCTUAL_MS = 5_000;
/** A run whose call is not accepted is tried for at least this long. */
const TRIED_MS_MIN = 60_000;
const DUE_PER_STEP = 100;
const STARTS_PER_ROUND = 1_000;
const STARTS_AT_ONCE = 50;
/** A clock that was set back by more has its schedules looked at anew. */
const SET_BACK_MS = 60_000;
const SOMEBODY = new AbortController().signal;

export class ScheduleKeeper {
  readonly #options: ScheduleKeeperOptions;
  readonly #ending = new AbortController();
  #loop: Promise<void> | undefined;
  #token: number | undefined;
  #lookedAtMs = 0;

  constructor(options: ScheduleKeeperOptions) {
    this.#options = options;
  }

  /** Begins to look, until `close`. */
  start(): void {
    this.#loop ??= this.#run();
  }

  /** Lets another server do it, once what was begun is done. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#loop;
    await this.#options.leadership.close();
  }

  /** One round. @throws what the record store throws; `conflict` when another one leads. */
  async tick(): Promise<void> {
    const { leadership, clock } = this.#options;
    const fence = await leadership.lead();
    if (fence === undefined) return;
    const nowMs = clock.nowMs();
    try {
      await this.#noteChanges(fence);
      const isNew = fence.token !== this.#token || nowMs < this.#lookedAtMs - SET_BACK_MS;
      if (isNew) await this.#lookAnew(fence, nowMs);
      this.#token = fence.token;
      this.#lookedAtMs = nowMs;
      await this.#decide(fence, nowMs);
      await this.#startRuns(fence, nowMs);
    } catch (error) {
      if (error instanceof PlatformError && error.code === "conflict") leadership.deposed();
      throw error;
    }
  }

  async #run(): Promise<void> {
    const { clock, onError } = this.#options;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        await this.tick();
      } catch (error) {
        onError(error, "keeping schedules");
      }
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async #noteChanges(fence: Fence): Promise<void> {
    const { schedules } = this.#options.store;
    const { begun, ended } = await schedules.changes();
    if (begun.length === 0 && ended.length === 0) return;
    const fresh = begun.map(({ deployedAtMs, ...deployed }) => {
      const [nextMs] = nextRuns({ ...deployed, sinceMs: deployedAtMs }, deployedAtMs, 1);
      const moment = nextMs === undefined ? {} : { nextMs };
      return { ...deployed, sinceMs: deployedAtMs, ...moment, missedCount: 0 };
    });
    await schedules.note(fence, fresh, ended);
  }

  /**
   * A clock that was ahead has moved schedules too far: they are brought back. Times that ran
   * have their runs and call ids, so they do not run again.
   */
  async #lookAnew(fence: Fence, nowMs: number): Promise<void> {
    const { schedules } = this.#options.store;
    const steps: ScheduleStep[] = [];
    for (const each of await schedules.list()) {
      const [nextMs] = nextRuns(each, nowMs, 1);
      if (each.nextMs === undefined || nextMs === undefined || each.nextMs <= nextMs) continue;
      steps.push({ key: keyOf(each), fromNextMs: each.nextMs, nextMs, runs: [] });
    }
    if (steps.length > 0) await schedules.step(fence, steps);
  }

  async #decide(fence: Fence, nowMs: number): Promise<void> {
    const { schedules } = this.#options.store;
    while (!this.#ending.signal.aborted) {
      const due = await schedules.list({ nowMs, limit: DUE_PER_STEP });
      if (due.length === 0) return;
      const steps = due.flatMap((each) => stepOf(each, nowMs) ?? []);
      await schedules.step(fence, steps);
      for (const [index, { runs }] of steps.entries()) {
        for (const run of runs) if (run.state === "missed") this.#tellMissed(run, due[index]);
      }
      if (due.length < DUE_PER_STEP) return;
    }
  }

  async #startRuns(fence: Fence, nowMs: number): Promise<void> {
    const { schedules, scheduleRuns } = this.#options.store;
    const starting = await scheduleRuns.starting(STARTS_PER_ROUND);
    if (starting.length === 0) return;
    const live = new Map((await schedules.list()).map((each) => [nameOf(each), each]));
    for (let from = 0; from < starting.length; from += STARTS_AT_ONCE) {
      if (this.#ending.signal.aborted) return;
      const some = starting.slice(from, from + STARTS_AT_ONCE);
      const settled = await Promise.all(
        some.map(async (run) => this.#startRun(run, live.get(nameOf(run)), nowMs)),
      );
      const done = settled.filter((run) => run !== undefined);
      if (done.length > 0) await schedules.settle(fence, done);
    }
  }

  /** What became of a run; undefined while it is to be tried again. */
  async #startRun(
    run: StoredRun,
    live: LiveSchedule | undefined,
    nowMs: number,
  ): Promise<StoredRun | undefined> {
    const { calls, store, events, onError } = this.#options;
    const callId = scheduledCallId(run, run.dueAtMs);
    const started: StoredRun = { ...run, state: "started", callId };
    try {
      if ((await store.calls.get(callId)) !== undefined) return started;
      const lateMs = nowMs - run.dueAtMs;
      if (live === undefined) return this.#miss(run, live, "its app was stopped");
      if (lateMs > triedMsOf(live)) return this.#miss(run, live, "its call was not accepted");
      const payload = encodeValue([]);
      const who = { workspaceId: run.workspaceId, tokenId: "platform" };
      const header = { callId, kind: "single", final: true, waitMs: 0 } as const;
      const sizes = [payload.byteLength];
      await calls.create(who, live.functionId, { ...header, sizes }, [payload], SOMEBODY);
      const { appId, functionId } = live;
      const { dueAtMs } = run;
      events.publish({ appId, functionId, callId }, { kind: "schedule.started", dueAtMs, lateMs });
      return started;
    } catch (error) {
      onError(messageOf(error), `starting the run of ${nameOf(run)} due at ${run.dueAtMs}`);
      return undefined;
    }
  }

  #miss(run: StoredRun, live: LiveSchedule | undefined, reason: string): StoredRun {
    const missed = { count: 1, firstDueAtMs: run.dueAtMs, reason };
    const told: StoredRun = { ...run, state: "missed", missed };
    this.#tellMissed(told, live);
    return told;
  }

  #tellMissed({ dueAtMs, missed }: StoredRun, live: LiveSchedule | undefined): void {
    if (missed === undefined) return;
    const subject = live === undefined ? {} : { appId: live.appId, functionId: live.functionId };
    this.#options.events.publish(subject, {
      kind: "schedule.missed",
      lastDueAtMs: dueAtMs,
      ...missed,
    });
  }
}

/** What is decided about a schedule that is due, ready to be written. */
function stepOf(each: LiveSchedule, nowMs: number): ScheduleStep | undefined {
  if (each.nextMs === undefined) return undefined;
  const key = keyOf(each);
  const due = dueRuns(each, each.nextMs, nowMs, { punctualMs: PUNCTUAL_MS });
  const runs: StoredRun[] = due.runs.map((dueAtMs) => ({ ...key, dueAtMs, state: "starting" }));
  if (due.missed !== undefined) {
    const { lastDueAtMs: dueAtMs, ...missed } = due.missed;
    const reason = "no server was there to run it";
    runs.push({ ...key, dueAtMs, state: "missed", missed: { ...missed, reason } });
  }
  const next = due.nextMs === undefined ? {} : { nextMs: due.nextMs };
  return { key, fromNextMs: each.nextMs, ...next, runs };
}

function triedMsOf({ schedule }: LiveSchedule): number {
  return Math.max(schedule.graceMs ?? GRACE_MS, TRIED_MS_MIN);
}

function keyOf({ workspaceId, app, name }: FunctionKey): FunctionKey {
  return { workspaceId, app, name };
}

function nameOf({ workspaceId, app, name }: FunctionKey): string {
  return `${workspaceId}/${app}/${name}`;
}
