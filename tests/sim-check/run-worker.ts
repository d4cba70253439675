/** Flies the runs that it is sent, one after the other, in a thread of its own. */
import { parentPort } from "node:worker_threads";
import { runTask, type Task } from "./worlds.ts";

parentPort?.on("message", (task: Task) => {
  runTask(task).then(
    (result) => parentPort?.postMessage(result),
    (error: unknown) => {
      throw error;
    },
  );
});
