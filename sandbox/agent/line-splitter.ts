/** Cuts a stream of bytes into lines, holding no more of an endless one than a line may have. */
import { StringDecoder } from "node:string_decoder";

export class LineSplitter {
  readonly #charactersMax: number;
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";

  /** @param charactersMax Longest line; what a longer one has beyond it is cut off. */
  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  /** The lines that `chunk` ends, without their ends. */
  push(chunk: Uint8Array): readonly string[] {
    const [first = "", ...rest] = this.#decoder.write(Buffer.from(chunk)).split("\n");
    const last = rest.pop();
    if (last === undefined) {
      this.#partial = (this.#partial + first).slice(0, this.#charactersMax);
      return [];
    }
    const lines = [this.#partial + first, ...rest].map((line) => this.#lineOf(line));
    this.#partial = last.slice(0, this.#charactersMax);
    return lines;
  }

  /** The unfinished line; undefined when there is none. */
  end(): string | undefined {
    const line = this.#lineOf(this.#partial + this.#decoder.end());
    this.#partial = "";
    return line === "" ? undefined : line;
  }

  #lineOf(text: string): string {
    return text.slice(0, this.#charactersMax).replace(/\r$/, "");
  }
}
