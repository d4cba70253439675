/** Calls, their inputs, attempts and results in SQLite: what is written, and what is open. */
import { assert } from "../../../core/index.ts";
import type { WireError } from "../../../sdk/protocol/index.ts";
import type {
  AcceptInputs,
  AcceptOutcome,
  CallLedger,
  CallRecord,
  InputRef,
  NewResult,
  OpenInput,
  RecordOutcome,
  StoredInput,
  StoredPayload,
} from "../record-store.ts";
import type { Database } from "./database.ts";
import { callOf, indexOf, keyOf, SELECT_CALL } from "./call-rows.ts";
import { INPUTS_PER_CALL_MAX } from "./migrations.ts";
import { count, payloadColumns, payloadOf, text, type Row } from "./row.ts";
import { nameBlobs } from "./sqlite-blob-records.ts";

export class SqliteLedger implements CallLedger {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async acceptInputs(accept: AcceptInputs): Promise<AcceptOutcome> {
    return this.#db.write(() => this.#accept(accept));
  }

  async recordAttempts(
    inputs: readonly InputRef[],
    containerId: string,
    startedAtMs: number,
  ): Promise<void> {
    await this.#db.writeSoon(() => {
      const keys = this.#callKeys();
      for (const { callId, index } of inputs) {
        const callKey = keys(callId);
        if (callKey === undefined) continue;
        this.#db.run(
          `INSERT INTO attempts (input_key, attempt, container_id, started_at_ms)
           SELECT ?1, 1 + COALESCE((SELECT MAX(attempt) FROM attempts WHERE input_key = ?1), 0),
                  ?2, ?3
           WHERE EXISTS (SELECT 1 FROM inputs WHERE input_key = ?1)`,
          keyOf(callKey, index),
          containerId,
          startedAtMs,
        );
      }
    });
  }

  async excuseAttempts(inputs: readonly InputRef[], containerId: string): Promise<void> {
    await this.#db.writeSoon(() => {
      const keys = this.#callKeys();
      for (const { callId, index } of inputs) {
        const callKey = keys(callId);
        if (callKey === undefined) continue;
        this.#db.run(
          "UPDATE attempts SET excused = 1 WHERE input_key = ? AND container_id = ?",
          keyOf(callKey, index),
          containerId,
        );
      }
    });
  }

  async noteFailures(inputs: readonly InputRef[]): Promise<void> {
    await this.#db.writeSoon(() => {
      const keys = this.#callKeys();
      for (const { callId, index } of inputs) {
        const callKey = keys(callId);
        if (callKey === undefined) continue;
        this.#db.run(
          `UPDATE attempts SET failed = 1, excused = 1 WHERE input_key = ?1 AND attempt =
             (SELECT MAX(attempt) FROM attempts WHERE input_key = ?1)`,
          keyOf(callKey, index),
        );
      }
    });
  }

  async appendValues(
    callId: string,
    from: number,
    payloads: readonly StoredPayload[],
  ): Promise<number> {
    return this.#db.write(() => {
      const call = this.#db.get(SELECT_CALL, callId);
      const present = call?.["value_count"];
      if (call === undefined || typeof present !== "number") return 0;
      if (from > present || text(call, "state") !== "running") return present;
      const callKey = count(call, "call_key");
      const end = Math.max(present, from + payloads.length);
      for (let position = present; position < end; position += 1) {
        this.#db.run(
          "INSERT INTO yielded_values (value_key, payload, sha256, byte_count) VALUES (?, ?, ?, ?)",
          keyOf(callKey, position),
          ...payloadColumns(payloads[position - from]),
        );
        nameBlobs(this.#db, callKey, payloads[position - from]);
      }
      this.#db.run("UPDATE calls SET value_count = ? WHERE call_key = ?", end, callKey);
      return end;
    });
  }

  async recordResults(results: readonly NewResult[]): Promise<RecordOutcome> {
    return this.#db.write(() => this.#record(results));
  }

  async cancelCall(
    callId: string,
    nowMs: number,
    error?: WireError,
  ): Promise<CallRecord | undefined> {
    return this.#db.write(() => {
      const row = this.#db.get(SELECT_CALL, callId);
      if (row === undefined) return undefined;
      if (text(row, "state") !== "running") return callOf(row);
      const callKey = count(row, "call_key");
      const open = this.#db.all(
        `SELECT input_key FROM inputs WHERE input_key BETWEEN ? AND ? AND finished = 0
         ORDER BY input_key`,
        keyOf(callKey, 0),
        keyOf(callKey, INPUTS_PER_CALL_MAX - 1),
      );
      this.#record(
        open.map((input) => ({
          callId,
          index: indexOf(count(input, "input_key")),
          outcome: "cancelled",
          runMs: 0,
          finishedAtMs: nowMs,
          ...(error === undefined ? {} : { error }),
        })),
      );
      this.#db.run(
        "UPDATE calls SET state = 'cancelled', final = 1, ended_at_ms = ? WHERE call_key = ?",
        nowMs,
        callKey,
      );
      return this.#callByKey(callKey);
    });
  }

  async loadInputs(inputs: readonly InputRef[]): Promise<readonly StoredInput[]> {
    const keys = this.#callKeys();
    const found = inputs.flatMap(({ callId, index }): readonly StoredInput[] => {
      const callKey = keys(callId);
      const row =
        callKey === undefined
          ? undefined
          : this.#db.get(
              `SELECT payload, sha256, byte_count, finished,
                 COALESCE((SELECT MAX(attempt) FROM attempts
                           WHERE attempts.input_key = inputs.input_key), 0) AS attempts,
                 (SELECT COUNT(*) FROM attempts WHERE attempts.input_key = inputs.input_key
                    AND excused = 1) AS excused,
                 (SELECT COUNT(*) FROM attempts WHERE attempts.input_key = inputs.input_key
                    AND failed = 1) AS failures,
                 (SELECT value_count FROM calls WHERE call_key = ?2) AS value_count
               FROM inputs WHERE input_key = ?1`,
              keyOf(callKey, index),
              callKey,
            );
      const payload = row === undefined ? undefined : payloadOf(row);
      if (row === undefined || payload === undefined) return [];
      const finished = count(row, "finished") === 1;
      const [attempts, excusedAttempts] = [count(row, "attempts"), count(row, "excused")];
      const { value_count: valueCount } = row;
      const failures = count(row, "failures");
      return [
        {
          ...{ callId, index, payload, attempts, excusedAttempts, finished },
          ...(failures > 0 ? { failures } : {}),
          ...(typeof valueCount === "number" ? { valueCount } : {}),
        },
      ];
    });
    return Promise.resolve(found);
  }

  async openInputs(after: InputRef | undefined, limit: number): Promise<readonly OpenInput[]> {
    const found: OpenInput[] = [];
    let call = this.#runningCall(after?.callId ?? "", ">=");
    while (call !== undefined && found.length < limit) {
      const callId = text(call, "call_id");
      const from = callId === after?.callId ? after.index + 1 : 0;
      found.push(...this.#openOf(call, from, limit - found.length));
      call = this.#runningCall(callId, ">");
    }
    return Promise.resolve(found);
  }

  #accept(accept: AcceptInputs): AcceptOutcome {
    const { call, mode, startIndex, payloads, final, acceptedAtMs } = accept;
    const known = this.#db.get(SELECT_CALL, call.callId);
    if (known === undefined && mode === "append") return { kind: "not_found" };
    const conflict = conflictOf(accept, known);
    if (conflict !== undefined) return { kind: "conflict", reason: conflict };
    const callKey = known === undefined ? this.#insertCall(call) : count(known, "call_key");
    const present = known === undefined ? 0 : count(known, "input_count");
    const end = startIndex + payloads.length;
    for (let index = Math.max(present, startIndex); index < end; index += 1) {
      const [bytes, sha256, byteCount] = payloadColumns(payloads[index - startIndex]);
      this.#db.run(
        "INSERT INTO inputs (input_key, payload, sha256, byte_count) VALUES (?, ?, ?, ?)",
        keyOf(callKey, index),
        bytes,
        sha256,
        byteCount ?? 0,
      );
      nameBlobs(this.#db, callKey, payloads[index - startIndex]);
    }
    if (end > present || final) {
      this.#db.run(
        "UPDATE calls SET input_count = MAX(input_count, ?), final = MAX(final, ?) WHERE call_key = ?",
        end,
        final ? 1 : 0,
        callKey,
      );
      this.#finishWhenDone(callKey, acceptedAtMs);
    }
    return { kind: "accepted", call: this.#callByKey(callKey), freshFrom: present };
  }

  #insertCall(call: AcceptInputs["call"]): number {
    return this.#db.insert(
      `INSERT INTO calls (call_id, workspace_id, function_id, app_id, kind, state, input_count,
                          finished_count, failed_count, final, created_at_ms, deadline_at_ms,
                          value_count)
       VALUES (?, ?, ?, ?, ?, 'running', 0, 0, 0, 0, ?, ?, ?)`,
      call.callId,
      call.workspaceId,
      call.functionId,
      call.appId,
      call.kind,
      call.createdAtMs,
      call.deadlineAtMs ?? null,
      call.stream === true ? 0 : null,
    );
  }

  #record(results: readonly NewResult[]): RecordOutcome {
    const calls = new Map<string, { readonly callKey: number; finished: number; failed: number }>();
    const recorded = results.map((result) => {
      const progress = calls.get(result.callId) ?? this.#progressOf(result.callId);
      if (progress === undefined) return false;
      calls.set(result.callId, progress);
      const first =
        this.#db.run(
          "UPDATE inputs SET finished = 1 WHERE input_key = ? AND finished = 0",
          keyOf(progress.callKey, result.index),
        ) === 1;
      if (!first) return false;
      this.#insertResult(keyOf(progress.callKey, progress.finished), result);
      nameBlobs(this.#db, progress.callKey, result.payload);
      progress.finished += 1;
      if (result.outcome !== "succeeded") progress.failed += 1;
      return true;
    });
    const nowMs = results.at(-1)?.finishedAtMs ?? 0;
    const touched = [...calls.values()].map(({ callKey, finished, failed }) => {
      this.#db.run(
        "UPDATE calls SET finished_count = ?, failed_count = ? WHERE call_key = ?",
        finished,
        failed,
        callKey,
      );
      this.#finishWhenDone(callKey, nowMs);
      return this.#callByKey(callKey);
    });
    return { recorded, calls: touched };
  }

  #progressOf(
    callId: string,
  ): { readonly callKey: number; finished: number; failed: number } | undefined {
    const row = this.#db.get(SELECT_CALL, callId);
    if (row === undefined) return undefined;
    return {
      callKey: count(row, "call_key"),
      finished: count(row, "finished_count"),
      failed: count(row, "failed_count"),
    };
  }

  #insertResult(resultKey: number | null, result: NewResult): void {
    assert(resultKey !== null, "a call has at most one result for each of its inputs");
    const [bytes, sha256, byteCount] = payloadColumns(result.payload);
    this.#db.run(
      `INSERT INTO results (result_key, idx, outcome, payload, sha256, byte_count, error, run_ms,
                            container_id, finished_at_ms)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      resultKey,
      result.index,
      result.outcome,
      bytes,
      sha256,
      byteCount,
      result.error === undefined ? null : JSON.stringify(result.error),
      result.runMs,
      result.containerId ?? null,
      result.finishedAtMs,
    );
  }

  #finishWhenDone(callKey: number, nowMs: number): void {
    this.#db.run(
      `UPDATE calls SET state = 'finished', ended_at_ms = ?
       WHERE call_key = ? AND state = 'running' AND final = 1 AND finished_count = input_count`,
      nowMs,
      callKey,
    );
  }

  /** The first running call whose id is past `callId`, or is it. */
  #runningCall(callId: string, past: ">" | ">="): Row | undefined {
    return this.#db.get(
      `SELECT call_key, call_id, function_id FROM calls INDEXED BY calls_running
       WHERE state = 'running' AND call_id ${past} ? ORDER BY call_id LIMIT 1`,
      callId,
    );
  }

  #openOf(call: Row, from: number, limit: number): readonly OpenInput[] {
    const callKey = count(call, "call_key");
    const rows = this.#db.all(
      `SELECT input_key, COALESCE((SELECT MAX(attempt) FROM attempts
                                   WHERE attempts.input_key = inputs.input_key), 0) AS attempts
       FROM inputs WHERE input_key BETWEEN ? AND ? AND finished = 0 ORDER BY input_key LIMIT ?`,
      keyOf(callKey, from),
      keyOf(callKey, INPUTS_PER_CALL_MAX - 1),
      limit,
    );
    return rows.map((row) => ({
      callId: text(call, "call_id"),
      functionId: text(call, "function_id"),
      index: indexOf(count(row, "input_key")),
      attempts: count(row, "attempts"),
    }));
  }

  #callByKey(callKey: number): CallRecord {
    return callOf(this.#db.get("SELECT * FROM calls WHERE call_key = ?", callKey) ?? {});
  }

  /** Looks call keys up, each once. */
  #callKeys(): (callId: string) => number | undefined {
    const keys = new Map<string, number | undefined>();
    return (callId) => {
      if (!keys.has(callId)) {
        const row = this.#db.get("SELECT call_key FROM calls WHERE call_id = ?", callId);
        keys.set(callId, row === undefined ? undefined : count(row, "call_key"));
      }
      return keys.get(callId);
    };
  }
}

/** Why a call cannot take these inputs, when it cannot. */
function conflictOf(accept: AcceptInputs, known: Row | undefined): string | undefined {
  const { call, mode, startIndex, payloads } = accept;
  const end = startIndex + payloads.length;
  if (startIndex < 0) return "the first index of a call is 0";
  if (end > INPUTS_PER_CALL_MAX) return `a call has at most ${INPUTS_PER_CALL_MAX} inputs`;
  const present = known === undefined ? 0 : count(known, "input_count");
  if (startIndex > present) return `inputs ${present} to ${startIndex - 1} are missing`;
  if (known === undefined) return undefined;
  if (mode === "create" && text(known, "function_id") !== call.functionId) {
    return "the id belongs to a call of another function";
  }
  if (mode === "create" && text(known, "workspace_id") !== call.workspaceId) {
    return "the id is taken";
  }
  const closed = count(known, "final") === 1;
  return closed && end > present ? "it takes no more inputs" : undefined;
}
