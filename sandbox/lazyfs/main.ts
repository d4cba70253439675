/**
 * The process that serves images to the kernel, and its threads.
 *
 * Its parent speaks to it over Node's channel. When the parent is gone everything is unmounted;
 * when this process dies the kernel fails every access, and the parent removes the mounts.
 */
import { writeSync } from "node:fs";
import { isMainThread, parentPort } from "node:worker_threads";
import { systemClock as clock } from "../system-clock.ts";
import { runAnswerLoop, runWarmer } from "./answer-loop.ts";
import { ImageServer } from "./serve-images.ts";
import type { ThreadTask } from "./spare-threads.ts";
import type { FromServing, ToServing } from "./serving-messages.ts";

/** Threads that still answer somebody do not keep this process longer than this. */
const CLOSE_MS_MAX = 2_000;

function serve(): void {
  const say = (message: FromServing): void => {
    // The parent may end at this very moment: `disconnect` tells.
    if (process.connected) process.send?.(message, undefined, {}, () => undefined);
  };
  const server = new ImageServer({ clock, workerUrl: new URL(import.meta.url), say });
  process.on("message", (message: ToServing) => server.receive(message));
  const end = (): void => {
    // A thread that waits in the kernel cannot be ended; the whole process can.
    setTimeout(() => process.kill(process.pid, "SIGKILL"), CLOSE_MS_MAX);
    void server.close().then(() => process.kill(process.pid, "SIGKILL"));
  };
  process.on("uncaughtException", (error) => {
    // Node would wait for its threads, which wait in the kernel, and readers for this one.
    writeSync(2, `serving images ends: ${error.stack ?? String(error)}\n`);
    process.kill(process.pid, "SIGKILL");
  });
  process.on("disconnect", end);
  process.on("SIGTERM", end);
  // A terminal's interrupt goes to all of its processes; the parent decides when this one ends.
  process.on("SIGINT", () => undefined);
}

if (isMainThread) serve();
else if (parentPort !== null) {
  const port = parentPort;
  port.once("message", (task: ThreadTask) => {
    if (task.task === "warm") runWarmer(task, port);
    else runAnswerLoop(task, port);
  });
}
