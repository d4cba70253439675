/** Rows of calls, inputs and results, and the keys under which they lie. */
import type { WireError } from "../../../sdk/protocol/index.ts";
import type { CallRecord, StoredResult } from "../record-store.ts";
import { INPUTS_PER_CALL_MAX } from "./migrations.ts";
import { count, payloadOf, text, type Row } from "./row.ts";

/** The row of a call by its id. */
export const SELECT_CALL = "SELECT * FROM calls WHERE call_id = ?";

/** The key of an index of a call; null, which no row has, when no call can have such an index. */
export function keyOf(callKey: number, index: number): number | null {
  const isIndex = Number.isInteger(index) && index >= 0 && index < INPUTS_PER_CALL_MAX;
  return isIndex ? callKey * INPUTS_PER_CALL_MAX + index : null;
}

/** The index in its call of an input by its key. */
export function indexOf(inputKey: number): number {
  return inputKey % INPUTS_PER_CALL_MAX;
}

/** A call as its row has it. */
export function callOf(row: Row): CallRecord {
  const { deadline_at_ms: deadlineAtMs, value_count: valueCount } = row;
  return {
    callId: text(row, "call_id"),
    workspaceId: text(row, "workspace_id"),
    functionId: text(row, "function_id"),
    appId: text(row, "app_id"),
    kind: text(row, "kind") === "map" ? "map" : "single",
    state: stateOf(text(row, "state")),
    inputCount: count(row, "input_count"),
    finishedCount: count(row, "finished_count"),
    failedCount: count(row, "failed_count"),
    final: count(row, "final") === 1,
    createdAtMs: count(row, "created_at_ms"),
    ...(typeof deadlineAtMs === "number" ? { deadlineAtMs } : {}),
    ...(typeof valueCount === "number" ? { stream: true } : {}),
  };
}

function stateOf(state: string): CallRecord["state"] {
  return state === "finished" || state === "cancelled" ? state : "running";
}

/** A result as its row has it, with the `attempts` of its input. */
export function resultOf(callId: string, row: Row): StoredResult {
  const payload = payloadOf(row);
  const { error, container_id: containerId } = row;
  const outcome = text(row, "outcome");
  return {
    callId,
    index: count(row, "idx"),
    outcome: outcome === "succeeded" || outcome === "cancelled" ? outcome : "failed",
    runMs: count(row, "run_ms"),
    attempts: count(row, "attempts"),
    finishedAtMs: count(row, "finished_at_ms"),
    ...(payload === undefined ? {} : { payload }),
    ...(typeof error === "string" ? { error: JSON.parse(error) as WireError } : {}),
    ...(typeof containerId === "string" ? { containerId } : {}),
  };
}
