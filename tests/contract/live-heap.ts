/**
 * What a process holds: its heap and buffers right after a collection, asked over the inspector.
 * Its resident memory says less, since that keeps what was free at the time.
 */
import { readFileSync } from "node:fs";
import { WebSocket } from "ws";

const DEBUGGER = /Debugger listening on (ws:\/\/127\.0\.0\.1:\S+)/;
const OPENS_MS_MAX = 30_000;
const POLL_MS = 50;
const MIB = 1024 * 1024;

/** For the environment of a process that is to be asked: its inspector takes a free port. */
export const INSPECTABLE = { NODE_OPTIONS: "--inspect-port=0" } as const;

/** The part of an inspector's answer that is read here. */
interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

/** Asks one process of Node, whose inspector opens at the first question. */
export class LiveHeap {
  readonly #pid: number;
  readonly #logFile: string;

  /** @param logFile Where the standard error of the process goes. */
  constructor(pid: number, logFile: string) {
    this.#pid = pid;
    this.#logFile = logFile;
  }

  /** MiB that are still reachable. @throws Error when the process does not answer */
  async measureMiB(): Promise<number> {
    const socket = new WebSocket(await this.#address());
    try {
      await new Promise((resolve, reject) => {
        socket.once("open", resolve);
        socket.once("error", reject);
      });
      // The second collects what finalizers of the first have let go.
      await ask(socket, 1, "HeapProfiler.collectGarbage");
      await ask(socket, 2, "HeapProfiler.collectGarbage");
      const answer = await ask(socket, 3, "Runtime.getHeapUsage");
      const { usedSize, backingStorageSize } = (answer as { readonly result: HeapUsage }).result;
      return (usedSize + backingStorageSize) / MIB;
    } finally {
      socket.close();
    }
  }

  async #address(): Promise<string> {
    const deadlineMs = performance.now() + OPENS_MS_MAX;
    process.kill(this.#pid, "SIGUSR1");
    while (performance.now() < deadlineMs) {
      const address = DEBUGGER.exec(readFileSync(this.#logFile, "utf8"))?.[1];
      if (address !== undefined) return address;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    throw new Error(`process ${this.#pid} opened no inspector within ${OPENS_MS_MAX} ms`);
  }
}

function ask(socket: WebSocket, id: number, method: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const hear = (data: Buffer): void => {
      const answer = JSON.parse(data.toString()) as { readonly id?: number };
      if (answer.id !== id) return;
      socket.off("message", hear);
      resolve(answer);
    };
    socket.on("message", hear);
    socket.once("close", () => reject(new Error(`${method} has no answer`)));
    socket.send(JSON.stringify({ id, method }));
  });
}
