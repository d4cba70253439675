/** Schedules and their runs in SQLite. */
import type { Schedule } from "../../../sdk/protocol/index.ts";
import type { Fence, FunctionKey } from "../record-store.ts";
import {
  RUNS_KEPT,
  type DeployedSchedule,
  type LiveSchedule,
  type ScheduleRuns,
  type ScheduleStep,
  type ScheduleStore,
  type StoredRun,
  type StoredSchedule,
} from "../schedule-store.ts";
import type { Database } from "./database.ts";
import { count, text, type Row } from "./row.ts";
import { checkFence } from "./sqlite-fences.ts";

/** Functions with a schedule, of running deployed versions; variants have none of their own. */
const DEPLOYED = `
  SELECT workspace_id, app, name, function_id, app_id, created_at_ms, spec -> '$.schedule' AS written
  FROM deployments JOIN functions USING (app_id)
  WHERE state = 'running' AND mode = 'deployed' AND base IS NULL
    AND spec -> '$.schedule' IS NOT NULL`;

const SAME = "workspace_id = ? AND app = ? AND name = ?";

export class SqliteSchedules implements ScheduleStore, ScheduleRuns {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  changes(): ReturnType<ScheduleStore["changes"]> {
    const begun = this.#db.all(
      `SELECT deployed.* FROM (${DEPLOYED}) AS deployed
       LEFT JOIN schedules USING (workspace_id, app, name)
       WHERE schedules.schedule IS NULL OR schedules.ended = 1 OR schedules.schedule <> written`,
    );
    const ended = this.#db.all(
      `SELECT workspace_id, app, name FROM schedules
       WHERE ended = 0 AND (workspace_id, app, name) NOT IN
         (SELECT workspace_id, app, name FROM (${DEPLOYED}))`,
    );
    return Promise.resolve({ begun: begun.map(deployedOf), ended: ended.map(keyOf) });
  }

  async note(
    fence: Fence,
    begun: readonly StoredSchedule[],
    ended: readonly FunctionKey[],
  ): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
      for (const key of ended) {
        this.#db.run(`UPDATE schedules SET ended = 1 WHERE ${SAME}`, ...columns(key));
      }
      for (const each of begun) {
        this.#db.run(
          `INSERT INTO schedules VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, 0, 0)
           ON CONFLICT DO UPDATE SET schedule = ?4, since_ms = ?5, next_ms = ?6, ended = 0`,
          ...columns(each),
          JSON.stringify(each.schedule),
          each.sinceMs,
          each.nextMs ?? null,
        );
      }
    });
  }

  list(due?: { readonly nowMs: number; readonly limit: number }): Promise<readonly LiveSchedule[]> {
    const live = `SELECT schedules.*, function_id, app_id FROM schedules
      JOIN (${DEPLOYED}) USING (workspace_id, app, name) WHERE ended = 0`;
    const rows =
      due === undefined
        ? this.#db.all(`${live} ORDER BY workspace_id, app, name`)
        : this.#db.all(
            `${live} AND paused_at_ms IS NULL AND next_ms <= ? ORDER BY next_ms LIMIT ?`,
            due.nowMs,
            due.limit,
          );
    return Promise.resolve(rows.map(liveOf));
  }

  async step(fence: Fence, steps: readonly ScheduleStep[]): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
      for (const step of steps) this.#step(step);
    });
  }

  async settle(fence: Fence, runs: readonly StoredRun[]): Promise<void> {
    await this.#db.write(() => {
      checkFence(this.#db, fence);
      for (const run of runs) {
        const changed = this.#db.run(
          `UPDATE schedule_runs SET state = ?, call_id = ?, missed_count = ?, first_due_at_ms = ?,
             reason = ? WHERE ${SAME} AND due_at_ms = ? AND state = 'starting'`,
          ...outcomeColumns(run),
          ...columns(run),
          run.dueAtMs,
        );
        if (changed > 0) this.#countMissed(run);
      }
    });
  }

  async pause(
    key: FunctionKey,
    { pausedAtMs, nextMs }: { readonly pausedAtMs?: number; readonly nextMs?: number },
  ): Promise<boolean> {
    return this.#db.write(
      () =>
        this.#db.run(
          `UPDATE schedules SET paused_at_ms = ?, next_ms = ? WHERE ${SAME} AND ended = 0`,
          pausedAtMs ?? null,
          nextMs ?? null,
          ...columns(key),
        ) === 1,
    );
  }

  starting(limit: number): Promise<readonly StoredRun[]> {
    const rows = this.#db.all(
      "SELECT * FROM schedule_runs WHERE state = 'starting' ORDER BY due_at_ms LIMIT ?",
      limit,
    );
    return Promise.resolve(rows.map(runOf));
  }

  latest(key: FunctionKey, limit: number): Promise<readonly StoredRun[]> {
    const rows = this.#db.all(
      `SELECT * FROM schedule_runs WHERE ${SAME} ORDER BY due_at_ms DESC LIMIT ?`,
      ...columns(key),
      limit,
    );
    return Promise.resolve(rows.map(runOf));
  }

  #step({ key, fromNextMs, nextMs, runs }: ScheduleStep): void {
    const moved = this.#db.run(
      `UPDATE schedules SET next_ms = ? WHERE ${SAME}
         AND next_ms = ? AND paused_at_ms IS NULL AND ended = 0`,
      nextMs ?? null,
      ...columns(key),
      fromNextMs,
    );
    if (moved === 0) return;
    for (const run of runs) {
      const added = this.#db.run(
        "INSERT INTO schedule_runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        ...columns(key),
        run.dueAtMs,
        ...outcomeColumns(run),
      );
      if (added > 0) this.#countMissed(run);
    }
    if (runs.length > 0) this.#forget(key);
  }

  #countMissed(run: StoredRun): void {
    if (run.missed === undefined) return;
    this.#db.run(
      `UPDATE schedules SET missed_count = missed_count + ? WHERE ${SAME}`,
      run.missed.count,
      ...columns(run),
    );
  }

  #forget(key: FunctionKey): void {
    this.#db.run(
      `DELETE FROM schedule_runs WHERE ${SAME} AND state <> 'starting' AND due_at_ms <=
         (SELECT due_at_ms FROM schedule_runs WHERE ${SAME}
          ORDER BY due_at_ms DESC LIMIT 1 OFFSET ?)`,
      ...columns(key),
      ...columns(key),
      RUNS_KEPT,
    );
  }
}

function columns({ workspaceId, app, name }: FunctionKey): readonly [string, string, string] {
  return [workspaceId, app, name];
}

function outcomeColumns({
  state,
  callId,
  missed,
}: StoredRun): readonly [string, string | null, number | null, number | null, string | null] {
  const { count: missedCount, firstDueAtMs, reason } = missed ?? {};
  return [state, callId ?? null, missedCount ?? null, firstDueAtMs ?? null, reason ?? null];
}

function keyOf(row: Row): FunctionKey {
  return {
    workspaceId: text(row, "workspace_id"),
    app: text(row, "app"),
    name: text(row, "name"),
  };
}

function deployedOf(row: Row): DeployedSchedule {
  const schedule = JSON.parse(text(row, "written")) as Schedule;
  return { ...keyOf(row), schedule, deployedAtMs: count(row, "created_at_ms") };
}

function liveOf(row: Row): LiveSchedule {
  const { next_ms: nextMs, paused_at_ms: pausedAtMs } = row;
  return {
    ...keyOf(row),
    schedule: JSON.parse(text(row, "schedule")) as Schedule,
    sinceMs: count(row, "since_ms"),
    ...(typeof nextMs === "number" ? { nextMs } : {}),
    ...(typeof pausedAtMs === "number" ? { pausedAtMs } : {}),
    missedCount: count(row, "missed_count"),
    functionId: text(row, "function_id"),
    appId: text(row, "app_id"),
  };
}

function runOf(row: Row): StoredRun {
  const state = text(row, "state");
  const { call_id: callId, missed_count: missedCount } = row;
  return {
    ...keyOf(row),
    dueAtMs: count(row, "due_at_ms"),
    state: state === "starting" || state === "started" ? state : "missed",
    ...(typeof callId === "string" ? { callId } : {}),
    ...(typeof missedCount === "number"
      ? {
          missed: {
            count: missedCount,
            firstDueAtMs: count(row, "first_due_at_ms"),
            reason: text(row, "reason"),
          },
        }
      : {}),
  };
}
