/** Whether every accepted call is there, and every input has at most one result, for ever. */
import type { Settlement } from "../../server/calls/settlement.ts";
import type { RecordStore, StoredResult } from "../../server/store/record-store.ts";
import type { RunRecord } from "./record.ts";
import type { UserCall } from "./users.ts";

const PAGE = 1_000;

interface Seen {
  cursor: number;
  readonly texts: Map<number, string>;
  isOver: boolean;
}

/** Looks into the record store itself, past the ports of any process. */
export class CallChecks {
  readonly #store: RecordStore;
  readonly #record: RunRecord;
  readonly #seen = new Map<string, Seen>();
  readonly #recorded = new Set<string>();

  constructor(store: RecordStore, record: RunRecord) {
    this.#store = store;
    this.#record = record;
  }

  /** A process says that this became its input's one result. */
  noteRecorded({ input }: Settlement): void {
    const { inputId } = input;
    if (this.#recorded.has(inputId)) this.#record.broken("one result per input", inputId);
    this.#recorded.add(inputId);
  }

  /** Every accepted call, as far as it is not known to be over. */
  async look(calls: readonly UserCall[]): Promise<void> {
    for (const call of calls) {
      if (call.acceptedCount > 0 && this.#seen.get(call.callId)?.isOver !== true) {
        await this.#lookAt(call);
      }
    }
  }

  /** Accepted inputs without a result. */
  openCount(calls: readonly UserCall[]): number {
    return calls.reduce((sum, { callId, acceptedCount }) => {
      const seen = this.#seen.get(callId);
      if (seen?.isOver === true) return sum;
      return sum + Math.max(0, acceptedCount - (seen?.texts.size ?? 0));
    }, 0);
  }

  /** At the end: all results once more, each as it was when it was first seen. */
  async lookBack(calls: readonly UserCall[]): Promise<void> {
    for (const { callId } of calls) {
      const seen = this.#seen.get(callId);
      const { results } = await this.#store.calls.results(callId, 0, PAGE);
      for (const result of results) {
        const first = seen?.texts.get(result.index);
        if (first !== undefined && first !== textOf(result)) {
          this.#record.broken("a result never changes", `${callId}.${result.index}`);
        }
      }
    }
  }

  async #lookAt({ callId, acceptedCount }: UserCall): Promise<void> {
    const call = await this.#store.calls.get(callId);
    if (call === undefined || call.inputCount < acceptedCount) {
      const there = call?.inputCount ?? 0;
      const subject = `${callId} has ${there} of ${acceptedCount} accepted inputs in the ledger`;
      this.#record.broken("no accepted call is lost", subject);
      return;
    }
    const seen = this.#seen.get(callId) ?? { cursor: 0, texts: new Map(), isOver: false };
    this.#seen.set(callId, seen);
    const page = await this.#store.calls.results(callId, seen.cursor, PAGE);
    seen.cursor = page.nextCursor;
    for (const result of page.results) {
      if (seen.texts.has(result.index)) {
        this.#record.broken("one result per input", `${callId}.${result.index}`);
      }
      seen.texts.set(result.index, textOf(result));
      this.#record.event(`result ${callId}.${result.index} ${textOf(result)}`);
      this.#record.count("results");
    }
    seen.isOver = call.state !== "running" && seen.texts.size >= call.finishedCount;
    if (call.state === "finished" && call.finishedCount !== call.inputCount) {
      this.#record.broken("a finished call has all its results", callId);
    }
  }
}

function textOf({ outcome, payload, error }: StoredResult): string {
  const bytes = payload?.kind === "inline" ? Buffer.from(payload.bytes).toString("hex") : "";
  return `${outcome} ${bytes}${error?.name ?? ""}`;
}
