/** How often the kernel asked for what, in memory that threads share. */
import { OPCODE } from "./fuse-protocol.ts";

/** The kind of a request; `other` is what is answered with ENOSYS. */
export type RequestKind = keyof typeof OPCODE | "other";

/** Requests since an image was mounted: those that came, by their kind. */
export type RequestFigures = Readonly<Partial<Record<RequestKind, number>>>;

/** Numbers of requests are below this. */
const OPCODES = 64;

export class RequestCounts {
  readonly words: Int32Array<SharedArrayBuffer>;

  /** @param words What another thread's counts have. */
  constructor(words = new Int32Array(new SharedArrayBuffer(OPCODES * 4))) {
    this.words = words;
  }

  /** Counts a request. */
  add(opcode: number): void {
    // Bit operations keep a number that no kernel sends within the table.
    Atomics.add(this.words, opcode & (OPCODES - 1), 1);
  }

  figures(): RequestFigures {
    const left = Int32Array.from(this.words);
    const figures: Partial<Record<RequestKind, number>> = {};
    for (const [kind, opcode] of Object.entries(OPCODE) as [RequestKind, number][]) {
      const count = left[opcode] ?? 0;
      left[opcode] = 0;
      if (count > 0) figures[kind] = count;
    }
    const other = left.reduce((sum, count) => sum + count, 0);
    return other === 0 ? figures : { ...figures, other };
  }
}
