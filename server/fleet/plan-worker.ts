/** The thread in which fleets are planned: takes a `PlanInput`, answers a `PlanAnswer`. */
import { parentPort } from "node:worker_threads";
import { assert, messageOf } from "../../core/index.ts";
import { createSolvers, planFleet, type PlanInput } from "../../optimizer/index.ts";
import type { PlanAnswer } from "./planner.ts";

assert(parentPort !== null, "plan-worker.ts runs as a worker thread");
const port = parentPort;
const solvers = createSolvers();

port.on("message", (input: PlanInput) => {
  planFleet(input, solvers)
    .then((plan): PlanAnswer => ({ kind: "plan", plan }))
    .catch((error: unknown): PlanAnswer => ({ kind: "error", message: messageOf(error) }))
    .then((answer) => port.postMessage(answer))
    .catch((error: unknown) => {
      throw error;
    });
});
