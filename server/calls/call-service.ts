/** Accepts calls into the ledger and the queue, and hands results to those who ask. */
import { PlatformError, type Clock } from "../../core/index.ts";
import {
  INPUTS_PER_REQUEST_MAX,
  PAYLOAD_BYTES_MAX,
  type AppendInputsHeader,
  type CallStatus,
  type CreateCallHeader,
  type ResultItem,
} from "../../sdk/protocol/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { loadPayload, storePayload } from "../blobs/payloads.ts";
import type { CallService, EventBus, Principal, ResultsPage, ResultsQuery } from "../services.ts";
import type {
  AcceptInputs,
  CallRecord,
  RecordStore,
  StoredPayload,
  StoredResult,
} from "../store/record-store.ts";
import type { CallWatch, FreshResult } from "./call-watch.ts";
import type { FunctionTable, LiveFunction } from "./function-table.ts";
import type { PayloadCache } from "./payload-cache.ts";

export interface CallServiceOptions {
  readonly store: RecordStore;
  readonly blobs: BlobStore;
  readonly functions: FunctionTable;
  readonly watch: CallWatch;
  readonly cache: PayloadCache;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Inputs were accepted or cancelled: the autoscaler should look. */
  readonly onLoadChanged: () => void;
  readonly onCancelled: (callId: string) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const CALL_ID = /^ca_[0-9a-z]{26}$/;
/** Results of a page stop at about this many bytes; at least one result is given. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** A page waits this long for more once it has one result, so that pages are handfuls. */
const GATHER_MS = 4;

export function createCallService(options: CallServiceOptions): CallService {
  const { store, functions, watch } = options;

  const findCall = async (who: Principal, callId: string): Promise<CallRecord> => {
    const call = await store.calls.get(callId);
    if (call === undefined || call.workspaceId !== who.workspaceId) throw noCall(callId);
    return call;
  };

  const pageOf = async (call: CallRecord, cursor: number, limit: number): Promise<ResultsPage> => {
    const page = await store.calls.results(call.callId, cursor, limit);
    const results: ResultItem[] = [];
    const payloads: Uint8Array[] = [];
    let bytes = 0;
    for (const result of page.results) {
      const payload = await payloadOf(options.blobs, result);
      if (results.length > 0 && bytes + payload.byteLength > PAGE_BYTES_MAX) break;
      bytes += payload.byteLength;
      results.push(itemOf(result, payload));
      payloads.push(payload);
    }
    const nextCursor = cursor + results.length;
    const status = statusOf(call, functions.peek(call.functionId));
    return { header: { callId: call.callId, results, nextCursor, status }, payloads };
  };

  const accept = async (
    live: LiveFunction,
    accepting: AcceptInputs,
    payloads: readonly Uint8Array[],
  ): Promise<{ readonly call: CallRecord; readonly enqueue: () => void }> => {
    const outcome = await store.ledger.acceptInputs(accepting);
    const { callId } = accepting.call;
    if (outcome.kind === "not_found") throw noCall(callId);
    if (outcome.kind === "conflict") {
      throw new PlatformError(`call ${callId} cannot take these inputs: ${outcome.reason}`, {
        code: "conflict",
        retryable: false,
      });
    }
    const end = accepting.startIndex + payloads.length;
    const from = Math.max(outcome.freshFrom, accepting.startIndex);
    for (let index = from; index < end; index += 1) {
      const payload = payloads[index - accepting.startIndex];
      if (payload !== undefined) options.cache.put({ callId, index }, payload);
    }
    functions.noteCall(outcome.call);
    // A queue that is away loses nothing: the inputs are in the ledger and are enqueued later.
    const enqueue = (): void => {
      if (from >= end) return;
      live.dispatcher.enqueue(callId, from, end).catch((error: unknown) => {
        options.onError(error, `enqueuing call ${callId}`);
      });
      options.onLoadChanged();
    };
    return { call: outcome.call, enqueue };
  };

  return {
    async create(who, functionId, header, payloads, signal) {
      if (!CALL_ID.test(header.callId)) {
        throw invalid(`callId must be "ca_" and 26 of 0-9a-z, got ${header.callId.slice(0, 40)}`);
      }
      checkPayloads(payloads);
      const live = await functions.get(functionId);
      if (live === undefined || live.workspaceId !== who.workspaceId) {
        throw new PlatformError(`there is no function ${functionId}`, {
          code: "not_found",
          retryable: false,
        });
      }
      if (live.retired) await refuseRetired(store, live, header.callId);
      const single = header.kind === "single" && payloads.length === 1;
      const stored = await storeAll(options.blobs, payloads);
      const { call, enqueue } = await accept(
        live,
        {
          call: {
            callId: header.callId,
            workspaceId: who.workspaceId,
            functionId,
            appId: live.appId,
            kind: header.kind,
            createdAtMs: options.clock.nowMs(),
          },
          mode: "create",
          startIndex: 0,
          payloads: stored,
          final: header.final,
        },
        payloads,
      );
      const waiting =
        single && header.waitMs > 0 && call.state === "running"
          ? watch.next(header.callId, header.waitMs, signal)
          : undefined;
      enqueue();
      announce(options.events, live, call, payloads.length);
      const fresh = await waiting;
      if (fresh !== undefined) return freshPage(call, live, fresh);
      return pageOf(await findCall(who, header.callId), 0, INPUTS_PER_REQUEST_MAX);
    },

    async append(who, callId, header, payloads) {
      checkPayloads(payloads);
      const call = await findCall(who, callId);
      const live = await functions.get(call.functionId);
      if (live === undefined) throw noCall(callId);
      const { startIndex, final } = header;
      const stored = await storeAll(options.blobs, payloads);
      const accepted = await accept(
        live,
        { call, mode: "append", startIndex, payloads: stored, final },
        payloads,
      );
      accepted.enqueue();
      if (accepted.call.state !== "running") watch.notify(callId);
      return statusOf(accepted.call, live);
    },

    async status(who, callId) {
      const call = await findCall(who, callId);
      return statusOf(call, functions.peek(call.functionId));
    },

    async results(who, callId, query) {
      const deadlineMs = options.clock.nowMs() + query.waitMs;
      for (;;) {
        const waitMs = deadlineMs - options.clock.nowMs();
        const change = watch.next(callId, Math.max(0, waitMs), query.signal);
        const call = await findCall(who, callId);
        const finished = call.state !== "running";
        const ready = call.finishedCount > query.cursor;
        if (ready || finished || waitMs <= 0 || query.signal.aborted) {
          if (ready && !finished && waitMs > 0) await options.clock.sleep(GATHER_MS, query.signal);
          return pageOf(await findCall(who, callId), query.cursor, query.limit);
        }
        await change;
      }
    },

    async cancel(who, callId) {
      await findCall(who, callId);
      const call = await store.ledger.cancelCall(callId, options.clock.nowMs());
      if (call === undefined) throw noCall(callId);
      functions.noteCall(call);
      options.onCancelled(callId);
      const live = functions.peek(call.functionId);
      await live?.dispatcher.cancelCall(callId);
      watch.notify(callId);
      return statusOf(call, live);
    },
  };
}

function noCall(callId: string): PlatformError {
  return new PlatformError(`there is no call ${callId}; results are kept 7 days`, {
    code: "not_found",
    retryable: false,
  });
}

function invalid(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}

/** A retired function answers for calls it has, and takes no new ones. */
async function refuseRetired(
  store: RecordStore,
  live: LiveFunction,
  callId: string,
): Promise<void> {
  if ((await store.calls.get(callId)) !== undefined) return;
  throw new PlatformError(
    `function ${live.functionId} (${live.app}/${live.name}) was replaced or stopped: ` +
      "look it up again, or deploy the app",
    { code: "not_found", retryable: false },
  );
}

function checkPayloads(payloads: readonly Uint8Array[]): void {
  if (payloads.length > INPUTS_PER_REQUEST_MAX) {
    throw invalid(`a request takes at most ${INPUTS_PER_REQUEST_MAX} inputs`);
  }
  const tooLarge = payloads.findIndex((payload) => payload.byteLength > PAYLOAD_BYTES_MAX);
  if (tooLarge < 0) return;
  throw new PlatformError(
    `input ${tooLarge} has more than ${PAYLOAD_BYTES_MAX} bytes: pass large data by reference`,
    { code: "payload_too_large", retryable: false },
  );
}

async function storeAll(
  blobs: BlobStore,
  payloads: readonly Uint8Array[],
): Promise<readonly StoredPayload[]> {
  return Promise.all(payloads.map((payload) => storePayload(blobs, payload)));
}

async function payloadOf(blobs: BlobStore, result: StoredResult): Promise<Uint8Array> {
  if (result.payload === undefined) return new Uint8Array(0);
  return loadPayload(blobs, result.payload);
}

function itemOf(result: StoredResult, payload: Uint8Array): ResultItem {
  return {
    index: result.index,
    outcome: result.outcome,
    bytes: payload.byteLength,
    attempts: result.attempts,
    runMs: result.runMs,
    ...(result.error === undefined ? {} : { error: result.error }),
  };
}

function statusOf(call: CallRecord, live: LiveFunction | undefined): CallStatus {
  const { callId, functionId, kind, state, inputCount, finishedCount, failedCount } = call;
  const { final, createdAtMs } = call;
  const status = { callId, functionId, kind, state, inputCount, finishedCount, failedCount };
  const pendingReason = state === "running" ? live?.pendingReason : undefined;
  return {
    ...status,
    final,
    createdAtMs,
    ...(pendingReason === undefined ? {} : { pendingReason }),
  };
}

/** The answer to a single call whose result was just recorded, without a read. */
function freshPage(call: CallRecord, live: LiveFunction, fresh: FreshResult): ResultsPage {
  const item = itemOf(fresh.result, fresh.payload);
  const done: CallRecord = {
    ...call,
    state: "finished",
    finishedCount: 1,
    failedCount: item.outcome === "succeeded" ? 0 : 1,
  };
  const status = statusOf(done, live);
  return {
    header: { callId: call.callId, results: [item], nextCursor: 1, status },
    payloads: [fresh.payload],
  };
}

function announce(events: EventBus, live: LiveFunction, call: CallRecord, inputs: number): void {
  const { appId, functionId } = live;
  events.publish({ appId, functionId, callId: call.callId }, { kind: "call.queued", inputs });
}
