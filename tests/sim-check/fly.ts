/** Flies many runs in several threads; each run is the same in any of them. */
import { Worker } from "node:worker_threads";
import type { RunResult } from "./record.ts";
import type { Task } from "./worlds.ts";

/** What becomes of the rest after a result. */
export type Verdict = "go-on" | "stop";

/**
 * Flies tasks as they are asked for; results come in the order in which runs end.
 *
 * @param tasks  Taken one by one: it may go on for ever.
 * @param onResult Told of each result; `stop` takes no more tasks.
 * @param jobs  Threads, >= 1.
 * @throws what a run throws, which is a mistake in the world itself.
 */
export async function flyAll(
  tasks: Iterator<Task, undefined>,
  onResult: (task: Task, result: RunResult) => Verdict,
  jobs: number,
): Promise<void> {
  let isStopped = false;
  const next = (): Task | undefined => {
    if (isStopped) return undefined;
    return tasks.next().value;
  };
  const fly = async (): Promise<void> => {
    const worker = new Worker(new URL("./run-worker.ts", import.meta.url));
    try {
      for (let task = next(); task !== undefined; task = next()) {
        const result = await resultOf(worker, task);
        if (onResult(task, result) === "stop") isStopped = true;
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: jobs }, fly));
}

function resultOf(worker: Worker, task: Task): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      reject(new Error(`flying ${task.world}, seed ${task.seed}`, { cause }));
    };
    worker.once("error", fail);
    worker.once("message", (result: RunResult) => {
      worker.off("error", fail);
      resolve(result);
    });
    worker.postMessage(task);
  });
}

/** The tasks of a list, one by one. */
export function* each(tasks: Iterable<Task>): Generator<Task, undefined> {
  yield* tasks;
  return undefined;
}
