/**
 * Reads a stream no faster than so many bytes a second: a container that prints without end waits
 * for its own output, and the agent has time for the others.
 */
import type { Readable } from "node:stream";

const WINDOW_MS = 250;

export class ReadPace {
  readonly #stream: Readable;
  readonly #windowBytesMax: number;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: Readable, bytesPerSecond: number) {
    this.#stream = stream;
    this.#windowBytesMax = (bytesPerSecond * WINDOW_MS) / 1_000;
    // What waits to be read when the stream is gone is read at once.
    stream.once("close", () => this.#end());
  }

  /** Counts bytes that were read, and pauses the stream when they were too many. */
  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#windowBytesMax || this.#timer !== undefined) return;
    this.#stream.pause();
    const windows = Math.ceil(this.#bytes / this.#windowBytesMax);
    this.#timer = setTimeout(() => this.#end(), windows * WINDOW_MS);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes = 0;
    this.#stream.resume();
  }
}
