/** As much of a terminal as redrawn lines need: rows that wrap, moves up, erasing below. */
import type { TerminalStream } from "./live-screen.ts";

export class TestScreen implements TerminalStream {
  readonly isTTY = true;
  columns: number;
  rows = 24;
  /** Lines as they were written, each with what it holds; a terminal wraps them by its width. */
  #lines: string[] = [""];

  constructor(columns = 40) {
    this.columns = columns;
  }

  /** What is to be seen, without the empty line of the cursor. */
  get seen(): readonly string[] {
    const rows = this.#wrapped();
    return rows.at(-1) === "" ? rows.slice(0, -1) : rows;
  }

  readonly write = (chunk: string | Uint8Array): boolean => {
    let text = typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
    // eslint-disable-next-line no-control-regex -- these are the sequences of a terminal
    text = text.replaceAll(/\u001b\[\d*m/g, "");
    // eslint-disable-next-line no-control-regex -- these are the sequences of a terminal
    const moves = /\u001b\[(\d+)A\r\u001b\[J/g;
    let from = 0;
    for (const move of text.matchAll(moves)) {
      this.#print(text.slice(from, move.index));
      this.#lines = [...this.#wrapped().slice(0, -1 - Number(move[1])), ""];
      from = move.index + move[0].length;
    }
    this.#print(text.slice(from));
    return true;
  };

  #print(text: string): void {
    const [first = "", ...rest] = text.split("\n");
    this.#lines.push((this.#lines.pop() ?? "") + first, ...rest);
  }

  #wrapped(): string[] {
    return this.#lines.flatMap((line) => {
      const rows: string[] = [];
      for (let at = 0; at === 0 || at < line.length; at += this.columns) {
        rows.push(line.slice(at, at + this.columns));
      }
      return rows;
    });
  }
}
