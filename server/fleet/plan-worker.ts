/** The thread in which fleets are planned: takes `PlanQuestion`s, gives `PlanAnswer`s. */
import { parentPort } from "node:worker_threads";
import { assert, messageOf, PlatformError } from "../../core/index.ts";
import { createSolvers, planFleet } from "../../optimizer/index.ts";
import type { PlanAnswer, PlanQuestion } from "./planner.ts";

assert(parentPort !== null, "plan-worker.ts runs as a worker thread");
const port = parentPort;
const solvers = createSolvers();

port.on("message", ({ input, withSolvers }: PlanQuestion) => {
  planFleet(input, withSolvers ? solvers : {})
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
