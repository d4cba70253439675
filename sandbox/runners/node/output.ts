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

export class Output {
  readonly #onLine: () => void;
  readonly #partial: Record<Stream, { text: string; readonly decoder: StringDecoder }> = {
    stdout: { text: "", decoder: new StringDecoder("utf8") },
    stderr: { text: "", decoder: new StringDecoder("utf8") },
  };
  #lines: RunnerLine[] = [];
  #heldBytes = 0;
  #droppedBytes = 0;
  #inputId: string | undefined;

  /** @param onLine Called when there is something to send. */
  constructor(onLine: () => void) {
    this.#onLine = onLine;
  }

  /** The input that runs now; lines printed meanwhile are its. */
  get inputId(): string | undefined {
    return this.#inputId;
  }

  /** A line that was not finished ends with the input that printed it. */
  set inputId(inputId: string | undefined) {
    if (inputId !== this.#inputId) this.#endPartialLines();
    this.#inputId = inputId;
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
    const partial = this.#partial[stream];
    const parts = (partial.text + partial.decoder.write(Buffer.from(bytes))).split("\n");
    partial.text = (parts.pop() ?? "").slice(0, LINE_CHARACTERS_MAX);
    for (const text of parts) this.#push(stream, text);
    if (parts.length > 0) this.#onLine();
  }

  /** The lines so far, unfinished ones too when `all`; they are forgotten here. */
  take(all: boolean): OutputBatch | undefined {
    if (all) this.#endPartialLines();
    if (this.#lines.length === 0 && this.#droppedBytes === 0) return undefined;
    const batch = { lines: this.#lines, droppedBytes: this.#droppedBytes };
    this.#lines = [];
    this.#heldBytes = 0;
    this.#droppedBytes = 0;
    return batch;
  }

  #endPartialLines(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      const { text } = this.#partial[stream];
      if (text === "") continue;
      this.#partial[stream].text = "";
      this.#push(stream, text);
    }
  }

  #push(stream: Stream, text: string): void {
    const line = text.slice(0, LINE_CHARACTERS_MAX);
    const inputId = this.#inputId;
    this.#lines.push({ stream, text: line, ...(inputId === undefined ? {} : { inputId }) });
    this.#heldBytes += line.length + 32;
  }
}
