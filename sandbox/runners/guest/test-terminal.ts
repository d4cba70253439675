/** A program in a terminal of the native program, in the hands of a test. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

const WAIT_MS_MAX = 20_000;
const POLL_MS = 10;
const HEADER_BYTES = 5;

export class TestTerminal {
  /** All that it has shown. */
  shown = "";
  /** What was said of its start. */
  errors = "";
  /** Its exit code. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessWithoutNullStreams;

  /** @param file The native program. */
  constructor(file: string, command: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(file, ["terminal", "24", "80", ...command], {
      stdio: "pipe",
      env: { PATH: process.env["PATH"] ?? "", PS1: "", ...env },
    });
    this.#child.stdout.on("data", (chunk: Buffer) => (this.shown += chunk.toString()));
    this.#child.stderr.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
    this.#child.stdin.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code) => resolve(code));
    });
  }

  /** Types keys. */
  type(text: string): void {
    const keys = Buffer.from(text);
    this.send("i", keys.byteLength, 0, keys);
  }

  resize(rows: number, cols: number): void {
    this.send("r", rows, cols);
  }

  /** One frame. */
  send(kind: string, first: number, second: number, data: Uint8Array = new Uint8Array(0)): void {
    const header = Buffer.alloc(HEADER_BYTES);
    header.write(kind, 0, "latin1");
    header.writeUInt16LE(first, 1);
    header.writeUInt16LE(second, 3);
    this.#child.stdin.write(Buffer.concat([header, data]));
  }

  /** Waits until it shows something that it has not shown before the last time. @throws Error */
  async shows(pattern: RegExp): Promise<void> {
    for (let waitedMs = 0; waitedMs < WAIT_MS_MAX; waitedMs += POLL_MS) {
      const match = pattern.exec(this.shown);
      if (match !== null) {
        this.shown = this.shown.slice(match.index + match[0].length);
        return;
      }
      await sleep(POLL_MS);
    }
    throw new Error(`${String(pattern)} is not shown: ${JSON.stringify(this.shown.slice(-500))}`);
  }

  /** Stops reading what it shows. */
  look(isLooking: boolean): void {
    if (isLooking) this.#child.stdout.resume();
    else this.#child.stdout.pause();
  }

  hangUp(): void {
    this.#child.stdin.end();
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
