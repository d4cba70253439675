/** The thread in which fleets are planned: takes `PlanQuestion`s, gives `PlanAnswer`s. */
import { parentPort } from "node:worker_threads";
import { assert, messageOf, PlatformError } from "../../core/index.ts";
import { createPlanMemory, createSolvers, planFleet } from "../../optimizer/index.ts";
import { systemClock } from "../system-clock.ts";
import type { PlanAnswer, PlanQuestion } from "./planner.ts";

assert(parentPort !== null, "plan-worker.ts runs as a worker thread");
const port = parentPort;
const solvers = createSolvers();
/** What one plan teaches the next; it ends with the thread. */
const memory = createPlanMemory();

port.on("message", ({ input, withSolvers }: PlanQuestion) => {
  planFleet(input, withSolvers ? solvers : {}, systemClock, memory)
    .then((plan): PlanAnswer => ({ kind: "plan", plan }))
    .catch(failure)
    .then((answer) => port.postMessage(answer))
    .catch((error: unknown) => {
      throw error;
    });
});

function failure(error: unknown): PlanAnswer {
  const message = messageOf(error);
  const isRefused = error instanceof PlatformError && error.code === "invalid_request";
  return { kind: isRefused ? "refused" : "error", message };
}
