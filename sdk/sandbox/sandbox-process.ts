/** A program that runs in a sandbox. */
import type { RequestOptions } from "../function-call.ts";
import type { SandboxLink } from "./sandbox-link.ts";
import { checkTerminalSize } from "./terminal-size.ts";
import type { TerminalSize } from "./terminal-size.ts";

const WAIT_MS = 15_000;
const PIECE_BYTES = 1024 * 1024;

/** How a program ended. */
export interface ProgramExit {
  /** Its exit code; 128 when a signal ended it, in a terminal 128 and the signal's number. */
  readonly exitCode: number;
  readonly signal?: string;
}

/** All of a program that has ended. */
export interface ProgramOutput extends ProgramExit {
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that `exec` started: its output, its input and its end. */
export class SandboxProcess {
  readonly #link: SandboxLink;
  readonly #id: string;
  #input = { written: 0 };

  /** Programs come from `sandbox.exec`. */
  constructor(link: SandboxLink, id: string) {
    this.#link = link;
    this.#id = id;
  }

  /**
   * The same program, of which everything that is asked ends when the signal aborts, with its
   * reason. The program goes on. What it got of a `write` that was given up is not known.
   */
  with({ signal }: RequestOptions): SandboxProcess {
    const same = new SandboxProcess(this.#link.until(signal), this.#id);
    same.#input = this.#input;
    return same;
  }

  /** What it prints, as it comes. A program waits when 1 MiB of it is not taken. */
  get stdout(): AsyncIterable<Uint8Array> {
    return this.#follow("stdout");
  }

  /** Its errors, as they come; held and taken like `stdout`, and apart from it. */
  get stderr(): AsyncIterable<Uint8Array> {
    return this.#follow("stderr");
  }

  /** Waits for its end; somebody must take what it prints meanwhile. */
  async wait(): Promise<ProgramExit> {
    for (;;) {
      const exit = (await this.#link.ask("wait", this.#id, WAIT_MS)) as ProgramExit | undefined;
      if (exit !== undefined) return exit;
    }
  }

  /** Waits for its end and gives all that it printed, as text. */
  async output(): Promise<ProgramOutput> {
    const [stdout, stderr, exit] = await Promise.all([
      textOf(this.stdout),
      textOf(this.stderr),
      this.wait(),
    ]);
    return { ...exit, stdout, stderr };
  }

  /** Writes to its standard input, in order; resolves when the program's pipe has it all. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    for (let at = 0; at < bytes.byteLength; at += PIECE_BYTES) {
      const piece = bytes.slice(at, at + PIECE_BYTES);
      const from = this.#input.written;
      this.#input.written += piece.byteLength;
      // A program that reads nothing for long keeps its input waiting, and no operation.
      while (!(await this.#link.ask("write", this.#id, from, piece, WAIT_MS)));
    }
  }

  /** Ends its standard input; in a terminal this is the key Ctrl-D. */
  async end(): Promise<void> {
    await this.#link.ask("end", this.#id);
  }

  /** Gives its terminal another size. @throws UsageError, RemoteError when it has no terminal */
  async resize(size: TerminalSize): Promise<void> {
    checkTerminalSize(size);
    await this.#link.ask("resize", this.#id, size);
  }

  /** Sends a signal to it and all that it started; SIGKILL unless given. */
  async kill(signal = "SIGKILL"): Promise<void> {
    await this.#link.ask("kill", this.#id, signal);
  }

  async *#follow(stream: "stdout" | "stderr"): AsyncGenerator<Uint8Array, void, undefined> {
    for (let from = 0; ;) {
      const taken = (await this.#link.ask("take", this.#id, stream, from, WAIT_MS)) as {
        readonly bytes: Uint8Array;
        readonly ended: boolean;
      };
      from += taken.bytes.byteLength;
      if (taken.bytes.byteLength > 0) yield taken.bytes;
      if (taken.ended) return;
    }
  }
}

async function textOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}
