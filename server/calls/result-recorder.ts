/** Makes results durable, once each, and wakes those who wait for them. */
import type { BlobStore } from "../blobs/blob-store.ts";
import { storePayload } from "../blobs/payloads.ts";
import type { EventBus } from "../services.ts";
import type {
  CallLedger,
  CallRecord,
  NewResult,
  RecordOutcome,
  StoredResult,
} from "../store/record-store.ts";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { CallWatch } from "./call-watch.ts";
import type { Settlement } from "./settlement.ts";

export interface ResultRecorderOptions {
  readonly ledger: CallLedger;
  readonly blobs: BlobStore;
  readonly watch: CallWatch;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Told of every call touched, as it is now. */
  readonly onCall: (call: CallRecord) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const REFUSED = "the record store refused the result; the server's log says why";
/** Pause before a failed write is tried again; results stay with their agents meanwhile. */
const RETRY_MS = 500;

export class ResultRecorder {
  readonly #options: ResultRecorderOptions;
  readonly #closing = new AbortController();

  constructor(options: ResultRecorderOptions) {
    this.#options = options;
  }

  /**
   * Resolves when every settlement is in the ledger; retries until it is or we close.
   *
   * @param onRecorded Told of every settlement that became its input's one result.
   */
  async record(
    settlements: readonly Settlement[],
    onRecorded: (settlement: Settlement) => void,
  ): Promise<void> {
    const results = await Promise.all(settlements.map((one) => this.#resultOf(one)));
    const outcome = await this.#recordDurably(results);
    for (const [position, settlement] of settlements.entries()) {
      if (outcome.recorded[position] === true) onRecorded(settlement);
    }
    for (const call of outcome.calls) {
      this.#options.onCall(call);
      this.#options.watch.notify(call.callId, freshOf(call, settlements, results));
      if (call.state !== "running") this.#announceEnd(call);
    }
  }

  /** Stops retrying. */
  close(): void {
    this.#closing.abort();
  }

  async #recordDurably(results: readonly NewResult[]): Promise<RecordOutcome> {
    for (;;) {
      try {
        return await this.#options.ledger.recordResults(results);
      } catch (error) {
        if (this.#closing.signal.aborted) throw error;
        this.#options.onError(error, `recording ${results.length} results`);
        if (error instanceof PlatformError && !error.retryable) return this.#recordSingly(results);
        await this.#options.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  /** The ledger will never take these together: each alone, and what it refuses as a failure. */
  async #recordSingly(results: readonly NewResult[]): Promise<RecordOutcome> {
    const [only] = results;
    if (results.length === 1 && only !== undefined) {
      const { callId, index, finishedAtMs } = only;
      const error = { name: "ResultRefused", message: REFUSED };
      const failure: NewResult = {
        callId,
        index,
        finishedAtMs,
        outcome: "failed",
        runMs: 0,
        error,
      };
      return this.#options.ledger.recordResults([failure]);
    }
    const recorded: boolean[] = [];
    const calls = new Map<string, CallRecord>();
    for (const result of results) {
      const outcome = await this.#recordDurably([result]);
      recorded.push(...outcome.recorded);
      for (const call of outcome.calls) calls.set(call.callId, call);
    }
    return { recorded, calls: [...calls.values()] };
  }

  async #resultOf(settlement: Settlement): Promise<NewResult> {
    const { input, outcome, error, payload, containerId, runMs } = settlement;
    const stored =
      payload === undefined ? undefined : await storePayload(this.#options.blobs, payload);
    return {
      callId: input.callId,
      index: input.index,
      outcome,
      runMs,
      finishedAtMs: this.#options.clock.nowMs(),
      ...(stored === undefined ? {} : { payload: stored }),
      ...(error === undefined ? {} : { error }),
      ...(containerId === undefined ? {} : { containerId }),
    };
  }

  #announceEnd(call: CallRecord): void {
    const { callId, appId, functionId, finishedCount, failedCount } = call;
    this.#options.events.publish(
      { callId, appId, functionId },
      { kind: "call.finished", succeeded: finishedCount - failedCount, failed: failedCount },
    );
  }
}

/** The result of a single call, so that the one who waits for it need not read it back. */
function freshOf(
  call: CallRecord,
  settlements: readonly Settlement[],
  results: readonly NewResult[],
): { readonly result: StoredResult; readonly payload: Uint8Array } | undefined {
  if (call.kind !== "single") return undefined;
  const position = results.findIndex((result) => result.callId === call.callId);
  const result = results[position];
  const settlement = settlements[position];
  if (result === undefined || settlement === undefined) return undefined;
  return {
    result: { ...result, attempts: settlement.input.attempts },
    payload: settlement.payload ?? new Uint8Array(0),
  };
}
