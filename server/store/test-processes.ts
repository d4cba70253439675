/**
 * Programs in processes of their own that share one record store, for tests of races and kills.
 *
 * A program says lines and hears lines; it begins with the path of the store in `argv[1]`.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What a program needs to open the store. */
export const OPEN_STORE = `import { openRecordStore } from ${urlOf("./sqlite/open.ts")};`;

/** A module of the server, by its path from here, as a program's import names it. */
export function urlOf(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}

export class StoreProcess {
  readonly child: ChildProcess;
  /** What it says, line by line. */
  readonly lines: AsyncIterator<string, undefined>;
  /** Its exit code and signal, once it has ended and all that it said was heard. */
  readonly ended: Promise<readonly unknown[]>;
  readonly #input: NodeJS.WritableStream;

  constructor(program: string, words: readonly string[]) {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", program, ...words], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.child = child;
    this.#input = child.stdin;
    this.lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.ended = once(child, "close");
  }

  /** The next line that it says. @throws when it has ended */
  async next(): Promise<string> {
    const { done, value } = await this.lines.next();
    if (done === true) throw new Error("the process ended without a word");
    return value;
  }

  tell(line: string): void {
    this.#input.write(`${line}\n`);
  }
}

export class StoreProcesses {
  readonly #dir: string;
  readonly #all: StoreProcess[] = [];

  private constructor(dir: string) {
    this.#dir = dir;
  }

  static async open(): Promise<StoreProcesses> {
    return new StoreProcesses(await mkdtemp(join(tmpdir(), "flotilla-store-")));
  }

  /** Where a store of this name is, which nobody has opened yet. */
  pathOf(name = "records"): string {
    return join(this.#dir, `${name}.db`);
  }

  run(program: string, ...words: readonly string[]): StoreProcess {
    const started = new StoreProcess(program, words);
    this.#all.push(started);
    return started;
  }

  /** Ends all that still run, and removes the stores. */
  async close(): Promise<void> {
    for (const { child } of this.#all) child.kill("SIGKILL");
    await Promise.all(this.#all.map(({ ended }) => ended));
    await rm(this.#dir, { recursive: true });
  }
}
