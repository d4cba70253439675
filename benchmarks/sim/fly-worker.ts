/** A thread that makes runs, one after another. */
import { parentPort } from "node:worker_threads";
import { fly, type Job } from "./fly.ts";

parentPort?.on("message", (job: Job) => {
  fly(job, (progress) => parentPort?.postMessage({ progress })).then(
    (flown) => parentPort?.postMessage({ flown }),
    (error: unknown) => parentPort?.postMessage({ error }),
  );
});
