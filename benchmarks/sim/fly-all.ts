/** Makes runs on several threads; results come in the order of the jobs. */
import { Worker } from "node:worker_threads";
import { fly, type Flown, type Job } from "./fly.ts";

type Answer = { readonly flown: Flown } | { readonly error: unknown };

export interface FlyOptions {
  readonly threads: number;
  readonly onFlown: (flown: Flown, left: number) => void;
}

export async function flyAll(
  jobs: readonly Job[],
  { threads, onFlown }: FlyOptions,
): Promise<readonly Flown[]> {
  const flown = new Map<Job, Flown>();
  const waiting = [...jobs];
  const note = (one: Flown, job: Job): void => {
    flown.set(job, one);
    onFlown(one, jobs.length - flown.size);
  };
  const lane = async (): Promise<void> => {
    const worker =
      threads > 1 ? new Worker(new URL("./fly-worker.ts", import.meta.url)) : undefined;
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        note(worker === undefined ? await fly(job) : await ask(worker, job), job);
      }
    } finally {
      await worker?.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(threads, jobs.length) }, lane));
  return jobs.flatMap((job) => flown.get(job) ?? []);
}

async function ask(worker: Worker, job: Job): Promise<Flown> {
  const { promise, resolve, reject } = Promise.withResolvers<Flown>();
  const answered = (answer: Answer): void => {
    if ("flown" in answer) resolve(answer.flown);
    else reject(new Error("a run failed", { cause: answer.error }));
  };
  worker.once("message", answered).once("error", reject);
  worker.postMessage(job);
  try {
    return await promise;
  } finally {
    worker.off("error", reject);
  }
}
