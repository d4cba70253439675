/** Schedules as users see them: what comes, what was, and pausing. */
import { PlatformError, type Clock } from "../../core/index.ts";
import type { ScheduleInfo, ScheduleRun } from "../../sdk/protocol/index.ts";
import { nearestWord } from "../../documents/index.ts";
import type { Principal, ScheduleService } from "../services.ts";
import type { RecordStore } from "../store/record-store.ts";
import type { StoredRun, StoredSchedule } from "../store/schedule-store.ts";
import { nextRuns } from "./next-runs.ts";

const NEXT_RUNS = 5;
const LAST_RUNS = 10;

export interface ScheduleSource {
  readonly store: Pick<RecordStore, "schedules" | "scheduleRuns" | "calls">;
  readonly clock: Pick<Clock, "nowMs">;
}

/** Schedules over the record store; methods throw PlatformError `not_found`. */
export function createScheduleService(source: ScheduleSource): ScheduleService {
  const { store, clock } = source;
  const setPaused = async (
    who: Principal,
    app: string,
    name: string,
    isPaused: boolean,
  ): Promise<ScheduleInfo> => {
    const found = await findSchedule(source, who, app, name);
    const wasPaused = found.pausedAtMs !== undefined;
    if (wasPaused === isPaused) return infoOf(source, found);
    const { workspaceId, schedule, sinceMs, missedCount } = found;
    const rest = { workspaceId, app, name, schedule, sinceMs, missedCount };
    const nowMs = clock.nowMs();
    const [nextMs] = nextRuns(found, nowMs, 1);
    const pause = {
      ...(isPaused ? { pausedAtMs: nowMs } : {}),
      ...(nextMs === undefined ? {} : { nextMs }),
    };
    if (await store.schedules.pause(found, pause)) return infoOf(source, { ...rest, ...pause });
    throw new PlatformError(
      `the schedule of ${app}/${name} was deployed a moment ago and is not in force yet; ` +
        "try again in a second",
      { code: "conflict", retryable: true },
    );
  };
  return {
    list: async (who, app) => {
      const all = await schedulesOf(source, who);
      const shown = all.filter((each) => app === undefined || each.app === app);
      return Promise.all(shown.map(async (each) => infoOf(source, each)));
    },
    pause: async (who, app, name) => setPaused(who, app, name, true),
    resume: async (who, app, name) => setPaused(who, app, name, false),
  };
}

/** Those in force, and those that were deployed so lately that no leader has noted them. */
async function schedulesOf(
  { store }: ScheduleSource,
  { workspaceId }: Principal,
): Promise<readonly StoredSchedule[]> {
  const [noted, { begun }] = await Promise.all([store.schedules.list(), store.schedules.changes()]);
  const fresh = begun.map(({ deployedAtMs: sinceMs, ...each }) => {
    const before = noted.find((one) => isSame(one, each));
    return { ...before, ...each, sinceMs, missedCount: before?.missedCount ?? 0 };
  });
  return [...noted.filter((one) => !fresh.some((each) => isSame(one, each))), ...fresh]
    .filter((each) => each.workspaceId === workspaceId)
    .sort((a, b) => order(a.app, b.app) || order(a.name, b.name));
}

async function findSchedule(
  source: ScheduleSource,
  who: Principal,
  app: string,
  name: string,
): Promise<StoredSchedule> {
  const all = await schedulesOf(source, who);
  const found = all.find((each) => each.app === app && each.name === name);
  if (found !== undefined) return found;
  const near = nearestWord(
    `${app}/${name}`,
    all.map((each) => `${each.app}/${each.name}`),
  );
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  throw new PlatformError(`no function ${app}/${name} with a schedule is deployed${hint}`, {
    code: "not_found",
    retryable: false,
  });
}

async function infoOf(source: ScheduleSource, stored: StoredSchedule): Promise<ScheduleInfo> {
  const { app, name, schedule, pausedAtMs, missedCount } = stored;
  const runs = await source.store.scheduleRuns.latest(stored, LAST_RUNS);
  const isPaused = pausedAtMs !== undefined;
  return {
    app,
    function: name,
    schedule,
    state: isPaused ? "paused" : "active",
    nextRunsAtMs: isPaused ? [] : nextRuns(stored, source.clock.nowMs(), NEXT_RUNS),
    lastRuns: await Promise.all(runs.map(async (run) => runOf(source, run))),
    missedCount,
  };
}

async function runOf({ store }: ScheduleSource, run: StoredRun): Promise<ScheduleRun> {
  const { dueAtMs, state, callId, missed } = run;
  if (state !== "started" || callId === undefined) {
    return {
      dueAtMs,
      state: state === "missed" ? "missed" : "starting",
      ...(missed && { missed }),
    };
  }
  const call = await store.calls.get(callId);
  if (call === undefined || call.state === "cancelled") return { dueAtMs, state: "ended", callId };
  if (call.state === "running") return { dueAtMs, state: "running", callId };
  return { dueAtMs, state: call.failedCount > 0 ? "failed" : "succeeded", callId };
}

function isSame(
  one: Pick<StoredSchedule, "workspaceId" | "app" | "name">,
  other: Pick<StoredSchedule, "workspaceId" | "app" | "name">,
): boolean {
  return one.workspaceId === other.workspaceId && one.app === other.app && one.name === other.name;
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
