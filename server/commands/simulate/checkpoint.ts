/**
 * Where a run is, on disk, so that one that was stopped goes on there and not at its begin.
 *
 * Written whole or not at all, whatever stops the process, and again every few seconds of real
 * time. The file belongs to one task and one state of the code: whoever names it sees to that
 * (`run-store.ts`). Everything here keeps its thread waiting: it is for threads that fly.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";
import { messageOf, PlatformError, systemCodeOf } from "../../../core/index.ts";
import type { FlightState } from "../../../simulations/index.ts";

/** What a stop loses at most, but for the time of one control tick. */
const EVERY_MS = 5_000;

/** Where a run was when it was last written down; undefined where it begins. */
export function readCheckpoint(file: string): FlightState | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    if (systemCodeOf(cause) === "ENOENT") return undefined;
    const problem = `cannot read where a run was from ${file}: ${messageOf(cause)}`;
    throw new PlatformError(problem, { code: "invalid_request", retryable: false, cause });
  }
  try {
    return deserialize(bytes) as FlightState;
  } catch {
    // Of a file that somebody cut short nothing can be had: the run begins anew.
    return undefined;
  }
}

/**
 * What a flight asks between control ticks: from time to time it writes down where it is.
 *
 * @param nowMs Real time that never goes back.
 */
export function checkpointTo(
  file: string,
  nowMs: () => number,
  everyMs: number = EVERY_MS,
): () => ((state: FlightState) => void) | undefined {
  let writtenAtMs = nowMs();
  const write = (state: FlightState): void => {
    writeFileSync(`${file}.part`, serialize(state));
    renameSync(`${file}.part`, file);
    writtenAtMs = nowMs();
  };
  return () => (nowMs() - writtenAtMs >= everyMs ? write : undefined);
}
