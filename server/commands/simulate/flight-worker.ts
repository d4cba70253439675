/** The thread in which runs are flown: takes `CrewTask`s, says `CrewMessage`s. */
import { parentPort } from "node:worker_threads";
import { assert, messageOf, PlatformError } from "../../../core/index.ts";
import {
  flyOne,
  type FlightOrder,
  type RunSpec,
  type SimulationProgress,
  type SimulationResult,
} from "../../../simulations/index.ts";
import { checkpointTo, readCheckpoint } from "./checkpoint.ts";
import type { CrewMessage, CrewTask } from "./crew.ts";

assert(parentPort !== null, "flight-worker.ts runs as a worker thread");
const port = parentPort;
const PROGRESS_EVERY_MS = 100;

port.on("message", ({ spec, order, checkpointFile }: CrewTask) => {
  let saidMs = 0;
  const onProgress = (progress: SimulationProgress): void => {
    const nowMs = performance.now();
    if (nowMs - saidMs < PROGRESS_EVERY_MS) return;
    saidMs = nowMs;
    say({ kind: "progress", progress });
  };
  fly(spec, { ...order, onProgress }, checkpointFile)
    .then((result) => say({ kind: "result", result }))
    .catch((error: unknown) => say(failureOf(error)));
});

/** Goes on where the run was written down last. */
async function fly(spec: RunSpec, order: FlightOrder, file?: string): Promise<SimulationResult> {
  if (file === undefined) return flyOne(spec, order);
  const from = readCheckpoint(file);
  const checkpoint = checkpointTo(file, () => performance.now());
  return flyOne(spec, { ...order, checkpoint, ...(from === undefined ? {} : { from }) });
}

function say(message: CrewMessage): void {
  port.postMessage(message);
}

function failureOf(error: unknown): CrewMessage {
  if (error instanceof PlatformError && error.code === "invalid_request") {
    return { kind: "refused", code: error.code, message: error.message };
  }
  const stack = error instanceof Error ? error.stack : undefined;
  return { kind: "failed", message: stack ?? messageOf(error) };
}
