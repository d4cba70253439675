/** What the user's code prints: cut into lines, told apart by input, bounded in memory. */
import { StringDecoder } from "node:string_decoder";
import type { RunnerLine } from "../protocol.ts";

/** Longest line; longer ones are cut. */
const LINE_CHARACTERS_MAX = 16 * 1024;
/** Bytes of unsent lines kept; what is printed beyond is counted and dropped. */
const HELD_BYTES_MAX = 1024 * 1024;

type Stream = RunnerLine["stream"];

export interface OutputBatch {
  readonly lines: readonly RunnerLine[];
  readonly droppedBytes: number;
}

interface Partial {
  text: string;
  readonly decoder: StringDecoder;
}

export class Output {
  readonly #onLine: () => void;
  readonly #owner: () => string | undefined;
  /** Unfinished lines by the input that prints them. */
  readonly #partials = new Map<string | undefined, Record<Stream, Partial>>();
  #lines: RunnerLine[] = [];
  #heldBytes = 0;
  #droppedBytes = 0;

  /**
   * @param onLine Called when there is something to send.
   * @param owner The input whose code runs now; lines printed meanwhile are its.
   */
  constructor(onLine: () => void, owner: () => string | undefined) {
    this.#onLine = onLine;
    this.#owner = owner;
  }

  /** An input ended: the line that it did not finish ends with it. */
  finish(inputId: string): void {
    this.#endPartialLines(inputId);
  }

  /** Takes the place of the process's own stdout and stderr writing. */
  capture(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const write = (
        chunk: Uint8Array | string,
        encoding?: BufferEncoding | ((error?: Error) => void),
        done?: (error?: Error) => void,
      ): boolean => {
        const named = typeof encoding === "string" ? encoding : undefined;
        this.write(stream, typeof chunk === "string" ? Buffer.from(chunk, named) : chunk);
        const callback = typeof encoding === "function" ? encoding : done;
        if (callback !== undefined) process.nextTick(callback);
        return true;
      };
      Object.defineProperty(process[stream], "write", { value: write });
    }
  }

  write(stream: Stream, bytes: Uint8Array): void {
    if (this.#heldBytes > HELD_BYTES_MAX) {
      this.#droppedBytes += bytes.byteLength;
      return;
    }
    const owner = this.#owner();
    const partial = this.#partialsOf(owner)[stream];
    const parts = (partial.text + partial.decoder.write(Buffer.from(bytes))).split("\n");
    partial.text = (parts.pop() ?? "").slice(0, LINE_CHARACTERS_MAX);
    for (const text of parts) this.#push(stream, text, owner);
    if (parts.length > 0) this.#onLine();
  }

  /** The lines so far, unfinished ones too when `all`; they are forgotten here. */
  take(all: boolean): OutputBatch | undefined {
    if (all) for (const owner of [...this.#partials.keys()]) this.#endPartialLines(owner);
    if (this.#lines.length === 0 && this.#droppedBytes === 0) return undefined;
    const batch = { lines: this.#lines, droppedBytes: this.#droppedBytes };
    this.#lines = [];
    this.#heldBytes = 0;
    this.#droppedBytes = 0;
    return batch;
  }

  #partialsOf(owner: string | undefined): Record<Stream, Partial> {
    const known = this.#partials.get(owner);
    if (known !== undefined) return known;
    const fresh = {
      stdout: { text: "", decoder: new StringDecoder("utf8") },
      stderr: { text: "", decoder: new StringDecoder("utf8") },
    };
    this.#partials.set(owner, fresh);
    return fresh;
  }

  #endPartialLines(owner: string | undefined): void {
    const partials = this.#partials.get(owner);
    if (partials === undefined) return;
    this.#partials.delete(owner);
    for (const stream of ["stdout", "stderr"] as const) {
      const { text } = partials[stream];
      if (text !== "") this.#push(stream, text, owner);
    }
  }

  #push(stream: Stream, text: string, inputId: string | undefined): void {
    const line = text.slice(0, LINE_CHARACTERS_MAX);
    this.#lines.push({ stream, text: line, ...(inputId === undefined ? {} : { inputId }) });
    this.#heldBytes += line.length + 32;
  }
}
