/** Makes runs on several threads; results come in the order of the jobs. */
import { Worker } from "node:worker_threads";
import type { Progress } from "../../simulations/engine/flight.ts";
import { fly, type Flown, type Job } from "./fly.ts";
import type { FlyOrder } from "./fly-worker.ts";

type Answer =
  { readonly flown: Flown } | { readonly progress: Progress } | { readonly error: unknown };

export interface FlyOptions {
  readonly threads: number;
  readonly onProgress: (job: Job, progress: Progress) => void;
  /** Where a run writes down how far it is; absent where none does. */
  readonly checkpointOf?: (job: Job) => string;
  /** The thread takes its next run when this is done. */
  readonly onFlown: (flown: Flown, left: number) => Promise<void>;
}

export async function flyAll(
  jobs: readonly Job[],
  { threads, onProgress, onFlown, checkpointOf }: FlyOptions,
): Promise<readonly Flown[]> {
  const flown = new Map<Job, Flown>();
  const waiting = [...jobs];
  const note = async (one: Flown, job: Job): Promise<void> => {
    flown.set(job, one);
    await onFlown(one, jobs.length - flown.size);
  };
  const lane = async (): Promise<void> => {
    const worker =
      threads > 1 ? new Worker(new URL("./fly-worker.ts", import.meta.url)) : undefined;
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        const current = job;
        const tell = (progress: Progress): void => onProgress(current, progress);
        const checkpointFile = checkpointOf?.(job);
        const flying =
          worker === undefined
            ? fly(job, { onProgress: tell, checkpointFile })
            : ask(worker, { job, checkpointFile }, tell);
        await note(await flying, job);
      }
    } finally {
      await worker?.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, lane));
  return jobs.flatMap((job) => flown.get(job) ?? []);
}

async function ask(
  worker: Worker,
  order: FlyOrder,
  tell: (progress: Progress) => void,
): Promise<Flown> {
  const { promise, resolve, reject } = Promise.withResolvers<Flown>();
  const answered = (answer: Answer): void => {
    if ("progress" in answer) tell(answer.progress);
    else if ("flown" in answer) resolve(answer.flown);
    else reject(new Error("a run failed", { cause: answer.error }));
  };
  worker.on("message", answered).once("error", reject);
  worker.postMessage(order);
  try {
    return await promise;
  } finally {
    worker.off("message", answered).off("error", reject);
  }
}
