/** What was asked of an emulator and what became of it, seen from the server's side. */

/** What every emulator knows of a call, whatever its protocol; a client's retry is a new call. */
export interface CallRecord {
  readonly atMs: number;
  /** The emulator's own name for what was asked, such as `instances.insert`. */
  readonly action: string;
  /** Region or zone; empty for what has neither. */
  readonly place: string;
  /** Without secrets: what may hold one is replaced by its length. */
  readonly params: Readonly<Record<string, string>>;
  /** Whether the action took effect, or would have but for being read-only. */
  readonly applied: boolean;
  /** Absent when the client got no answer. */
  readonly status?: number;
  /** The error's code, or the injected fault. */
  readonly failure?: string;
}

/** A record with its place in the order of arrival, counted from 0. */
export type Numbered<Entry> = Entry & { readonly sequence: number };

const ENTRY_COUNT_MAX = 10_000;

/** The latest records, oldest first; at most 10,000. */
export class CallJournal<Entry extends CallRecord> {
  #kept: Numbered<Entry>[] = [];
  #count = 0;

  add(entry: Entry): void {
    this.#kept.push({ ...entry, sequence: this.#count });
    this.#count += 1;
    // Cut now and then rather than at every call: a shift of 10,000 is not free.
    if (this.#kept.length >= 2 * ENTRY_COUNT_MAX) this.#kept = this.#kept.slice(-ENTRY_COUNT_MAX);
  }

  entries(): readonly Numbered<Entry>[] {
    return this.#kept.slice(-ENTRY_COUNT_MAX);
  }
}

/** What stands in a journal for a text that may hold a secret. */
export function redacted(text: string): string {
  return `<${text.length} characters>`;
}
