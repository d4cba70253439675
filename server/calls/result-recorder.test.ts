import { describe, expect, it } from "vitest";
import { PlatformError } from "../../core/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import type { EventBus } from "../services.ts";
import type { CallLedger, CallRecord, NewResult } from "../store/record-store.ts";
import { CallWatch } from "./call-watch.ts";
import type { Settlement } from "./settlement.ts";
import { ResultRecorder } from "./result-recorder.ts";

const CALL = { callId: "ca_0", state: "running", kind: "map" } as CallRecord;

function settlement(index: number): Settlement {
  const input = { callId: CALL.callId, index } as Settlement["input"];
  const payload = new Uint8Array([index]);
  return { input, containerId: "co_0", outcome: "succeeded", payload, runMs: 1, busyMs: 1 };
}

/** A ledger that fails as `failure` says, and keeps what it took. */
function ledgerFailing(failure: (results: readonly NewResult[]) => PlatformError | undefined) {
  const taken: NewResult[] = [];
  const recordResults: CallLedger["recordResults"] = async (results) => {
    const error = failure(results);
    if (error !== undefined) throw error;
    taken.push(...results);
    return { recorded: results.map(() => true), calls: [CALL] };
  };
  return { taken, ledger: { recordResults } as CallLedger };
}

function recorderOver(ledger: CallLedger): { recorder: ResultRecorder; errors: unknown[] } {
  const errors: unknown[] = [];
  const recorder = new ResultRecorder({
    ledger,
    blobs: {} as BlobStore,
    watch: new CallWatch(),
    events: { publish: () => undefined } as unknown as EventBus,
    clock: { nowMs: () => 0, sleep: () => Promise.resolve() },
    onCall: () => undefined,
    onError: (error) => errors.push(error),
  });
  return { recorder, errors };
}

const refusal = (retryable: boolean): PlatformError =>
  new PlatformError("no", { code: retryable ? "unavailable" : "invalid_request", retryable });

describe("recording results", () => {
  it("tries again while the ledger is away", async () => {
    let failures = 3;
    const { taken, ledger } = ledgerFailing(() => (failures-- > 0 ? refusal(true) : undefined));
    const { recorder, errors } = recorderOver(ledger);
    await recorder.record([settlement(0)], () => undefined);
    expect(taken.map(({ index }) => index)).toEqual([0]);
    expect(errors).toHaveLength(3);
  });

  it("lets one refused result fail alone, and once", async () => {
    const { taken, ledger } = ledgerFailing((results) =>
      results.some(({ index, outcome }) => index === 1 && outcome === "succeeded")
        ? refusal(false)
        : undefined,
    );
    const { recorder } = recorderOver(ledger);
    const recorded: number[] = [];
    await recorder.record([0, 1, 2].map(settlement), ({ input }) => recorded.push(input.index));
    expect(taken.map(({ index, outcome }) => [index, outcome])).toEqual([
      [0, "succeeded"],
      [1, "failed"],
      [2, "succeeded"],
    ]);
    expect(taken[1]?.error?.message).toMatch(/refused/);
    expect(recorded).toEqual([0, 1, 2]);
  });
});
