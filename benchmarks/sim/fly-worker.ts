/** A thread that makes runs, one after another. */
import { parentPort } from "node:worker_threads";
import { fly, type Job } from "./fly.ts";

/** A run to make. */
export interface FlyOrder {
  readonly job: Job;
  readonly checkpointFile: string | undefined;
}

parentPort?.on("message", ({ job, checkpointFile }: FlyOrder) => {
  const onProgress = (progress: unknown): void => parentPort?.postMessage({ progress });
  fly(job, { onProgress, checkpointFile }).then(
    (flown) => parentPort?.postMessage({ flown }),
    (error: unknown) => parentPort?.postMessage({ error }),
  );
});
