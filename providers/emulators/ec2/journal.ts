/** What was asked of the emulator and what became of it, seen from the server's side. */
import type { QueryParams } from "./query.ts";

/** One received call; each try of a client is a call of its own. */
export interface JournalEntry {
  readonly sequence: number;
  readonly atMs: number;
  readonly requestId: string;
  readonly action: string;
  readonly region: string;
  /** As sent, but user data only by its length: it may hold secrets. */
  readonly params: Readonly<Record<string, string>>;
  /** The client's count of its tries, from `amz-sdk-request`; 1 when it did not say. */
  readonly attempt: number;
  /** Equal over the tries of one SDK call; empty when the client did not say. */
  readonly invocationId: string;
  /** Whether the action took effect, or would have but for being read-only. */
  readonly applied: boolean;
  /** Absent when the client got no answer. */
  readonly status?: number;
  /** EC2's error code, or the injected fault. */
  readonly failure?: string;
}

const ENTRY_COUNT_MAX = 10_000;
const REDACTED = "UserData";

/** The latest calls, oldest first; at most `ENTRY_COUNT_MAX`. */
export class Journal {
  #entries: JournalEntry[] = [];
  #count = 0;

  add(entry: Omit<JournalEntry, "sequence" | "params">, params: QueryParams): void {
    this.#entries.push({ ...entry, sequence: this.#count++, params: redacted(params) });
    if (this.#entries.length > 2 * ENTRY_COUNT_MAX) {
      this.#entries = this.#entries.slice(-ENTRY_COUNT_MAX);
    }
  }

  entries(): readonly JournalEntry[] {
    return this.#entries.slice(-ENTRY_COUNT_MAX);
  }
}

function redacted(params: QueryParams): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...params].map(([name, value]) =>
      name === REDACTED || name.endsWith(`.${REDACTED}`)
        ? [name, `<${value.length} characters>`]
        : [name, value],
    ),
  );
}
