/** Accepts calls into the ledger and the queue, and hands results to those who ask. */
import { PlatformError, type Clock } from "../../core/index.ts";
import {
  INPUTS_PER_REQUEST_MAX,
  PAYLOAD_BYTES_MAX,
  type AppendInputsHeader,
  type CallStatus,
  type CreateCallHeader,
  type ResultItem,
  type WireError,
} from "../../sdk/protocol/index.ts";
import type { BlobStore } from "../blobs/blob-store.ts";
import { loadPayload, storePayload } from "../blobs/payloads.ts";
import type {
  CallService,
  EventBus,
  Principal,
  ResultsPage,
  ResultsQuery,
  ValuesPage,
} from "../services.ts";
import type {
  AcceptInputs,
  CallRecord,
  RecordStore,
  StoredPayload,
  StoredResult,
} from "../store/record-store.ts";
import type { CallWatch, FreshResult } from "./call-watch.ts";
import type { FunctionTable, LiveFunction } from "./function-table.ts";
import { keyedCallId, refuseOtherInput } from "./idempotency.ts";
import type { PayloadCache } from "./payload-cache.ts";

export interface CallServiceOptions {
  readonly store: RecordStore;
  readonly blobs: BlobStore;
  readonly functions: FunctionTable;
  readonly watch: CallWatch;
  readonly cache: PayloadCache;
  readonly events: EventBus;
  readonly clock: Clock;
  /** Why calls of a function are not taken; absent: all are. */
  readonly refusalOf?: (live: LiveFunction) => string | undefined;
  /** Inputs were accepted or cancelled: the autoscaler should look. */
  readonly onLoadChanged: () => void;
  readonly onCancelled: (callId: string) => void;
  /** The reader of a generator's values has everything before `cursor`. */
  readonly onRead: (call: CallRecord, cursor: number) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

const CALL_ID = /^ca_[0-9a-z]{26}$/;
/** Results of a page stop at about this many bytes; at least one result is given. */
const PAGE_BYTES_MAX = 16 * 1024 * 1024;
/** A page waits this long for more once it has one result, so that pages are handfuls. */
const GATHER_MS = 4;

/** Calls over the record store and the functions' queues. */
export class LedgeredCalls implements CallService {
  readonly #options: CallServiceOptions;

  constructor(options: CallServiceOptions) {
    this.#options = options;
  }

  async create(
    who: Principal,
    functionId: string,
    header: CreateCallHeader,
    payloads: readonly Uint8Array[],
    signal: AbortSignal,
  ): Promise<ResultsPage> {
    const { clock, watch, events, store } = this.#options;
    const { kind, final, waitMs } = header;
    checkCallId(header.callId);
    checkPayloads(payloads);
    const { live, callId } = await this.#functionFor(who, functionId, header);
    const createdAtMs = clock.nowMs();
    if (callId !== header.callId && (await store.calls.get(callId)) !== undefined) {
      await refuseOtherInput(this.#options, callId, payloads[0]);
      return this.results(who, callId, { cursor: 0, limit: 1, waitMs, signal });
    }
    const deadline = await this.#deadlineOf(who, header, createdAtMs);
    const { workspaceId } = who;
    const { appId } = live;
    const stream = header.stream === true ? { stream: true } : {};
    const call = { callId, workspaceId, functionId, appId, kind, createdAtMs };
    const fresh = { ...call, ...deadline, ...stream };
    const acceptedAtMs = createdAtMs;
    const accept = { call: fresh, mode: "create", startIndex: 0, final, acceptedAtMs } as const;
    const { call: accepted, enqueue } = await this.#accept(live, accept, payloads);
    const waits = kind === "single" && waitMs > 0 && accepted.state === "running";
    // Whoever waits is there before the input can be answered.
    const waiting = waits ? watch.next(callId, waitMs, signal) : undefined;
    enqueue();
    events.publish({ appId, functionId, callId }, { kind: "call.queued", inputs: payloads.length });
    const result = await waiting;
    if (result !== undefined) return freshPage(accepted, live, result);
    return this.#page(await this.#find(who, callId), 0, INPUTS_PER_REQUEST_MAX);
  }

  async append(
    who: Principal,
    callId: string,
    header: AppendInputsHeader,
    payloads: readonly Uint8Array[],
  ): Promise<CallStatus> {
    checkPayloads(payloads);
    const call = await this.#find(who, callId);
    const live = await this.#options.functions.get(call.functionId);
    if (live === undefined) throw noCall(callId);
    const { startIndex, final } = header;
    const acceptedAtMs = this.#options.clock.nowMs();
    const accept = { call, mode: "append", startIndex, final, acceptedAtMs } as const;
    const accepted = await this.#accept(live, accept, payloads);
    accepted.enqueue();
    if (accepted.call.state !== "running") this.#options.watch.notify(callId);
    return statusOf(accepted.call, live);
  }

  async status(who: Principal, callId: string): Promise<CallStatus> {
    const call = await this.#find(who, callId);
    return statusOf(call, this.#options.functions.peek(call.functionId));
  }

  async results(who: Principal, callId: string, query: ResultsQuery): Promise<ResultsPage> {
    const { clock, watch } = this.#options;
    const { cursor, limit, signal } = query;
    const deadlineMs = clock.nowMs() + query.waitMs;
    for (;;) {
      const waitMs = Math.max(0, deadlineMs - clock.nowMs());
      const change = watch.next(callId, waitMs, signal);
      const call = await this.#find(who, callId);
      const isReady = call.finishedCount > cursor;
      const isLast = call.state !== "running" || waitMs === 0 || signal.aborted;
      if (isReady || isLast) {
        if (!isLast) await clock.sleep(GATHER_MS, signal);
        return this.#page(isLast ? call : await this.#find(who, callId), cursor, limit);
      }
      await change;
    }
  }

  async values(who: Principal, callId: string, query: ResultsQuery): Promise<ValuesPage> {
    const { store, blobs, clock, watch, functions, onRead } = this.#options;
    const { cursor, limit, signal } = query;
    const deadlineMs = clock.nowMs() + query.waitMs;
    for (;;) {
      const waitMs = Math.max(0, deadlineMs - clock.nowMs());
      const change = watch.next(callId, waitMs, signal);
      // First the call: a call that has ended gets no values any more.
      const call = await this.#find(who, callId);
      if (call.stream !== true) throw noStream(callId);
      onRead(call, cursor);
      const stored = await store.calls.values(callId, cursor, limit);
      const isLast = call.state !== "running" || waitMs === 0 || signal.aborted;
      if (stored.length === 0 && !isLast) {
        await change;
        continue;
      }
      const payloads = await Promise.all(stored.map((one) => loadPayload(blobs, one)));
      const sizes = payloads.map((payload) => payload.byteLength);
      const status = statusOf(call, functions.peek(call.functionId));
      const nextCursor = cursor + payloads.length;
      return { header: { callId, sizes, nextCursor, status }, payloads };
    }
  }

  async cancel(who: Principal, callId: string): Promise<CallStatus> {
    const { state } = await this.#find(who, callId);
    return this.#cancel(callId, { wasRunning: state === "running" });
  }

  /** Ends calls whose deadline is over; to be called on a tick. */
  async expireDeadlines(nowMs: number): Promise<void> {
    for (const live of this.#options.functions.all()) {
      for (const callId of live.open.overdueIds(nowMs)) {
        const error = {
          name: "DeadlineExceededError",
          message: `call ${callId} had no result by its deadline`,
          code: "deadline_exceeded",
        } as const;
        await this.#cancel(callId, { wasRunning: true, error });
      }
    }
  }

  async #cancel(
    callId: string,
    { wasRunning, error }: { readonly wasRunning: boolean; readonly error?: WireError },
  ): Promise<CallStatus> {
    const { store, clock, functions, watch } = this.#options;
    const call = await store.ledger.cancelCall(callId, clock.nowMs(), error);
    if (call === undefined) throw noCall(callId);
    functions.noteCall(call);
    this.#options.onCancelled(callId);
    const live = functions.peek(call.functionId);
    live?.dispatcher.cancelCall(callId);
    watch.notify(callId);
    if (wasRunning) this.#announceEnd(call);
    return statusOf(call, live);
  }

  /** Whoever follows the call's lines ends with it. */
  #announceEnd({ callId, appId, functionId, finishedCount, failedCount }: CallRecord): void {
    this.#options.events.publish(
      { callId, appId, functionId },
      { kind: "call.finished", succeeded: finishedCount - failedCount, failed: failedCount },
    );
  }

  async #find(who: Principal, callId: string): Promise<CallRecord> {
    const call = await this.#options.store.calls.get(callId);
    if (call === undefined || call.workspaceId !== who.workspaceId) throw noCall(callId);
    return call;
  }

  /** The earlier of its own deadline and that of the call within which it is made. */
  async #deadlineOf(
    who: Principal,
    { deadlineInMs, parentCallId }: CreateCallHeader,
    nowMs: number,
  ): Promise<{ readonly deadlineAtMs?: number }> {
    const { store } = this.#options;
    const parent = parentCallId === undefined ? undefined : await store.calls.get(parentCallId);
    const isOurs = parent?.workspaceId === who.workspaceId;
    const inherited = (isOurs ? parent.deadlineAtMs : undefined) ?? Infinity;
    const deadlineAtMs = Math.min(nowMs + (deadlineInMs ?? Infinity), inherited);
    return deadlineAtMs === Infinity ? {} : { deadlineAtMs };
  }

  /** The function that is called, and the call's id: the client's, or that of its key. */
  async #functionFor(
    who: Principal,
    functionId: string,
    header: CreateCallHeader,
  ): Promise<{ readonly live: LiveFunction; readonly callId: string }> {
    const live = await this.#options.functions.get(functionId);
    if (live === undefined || live.workspaceId !== who.workspaceId) {
      throw new PlatformError(`there is no function ${functionId}`, {
        code: "not_found",
        retryable: false,
      });
    }
    const { idempotencyKey: key } = header;
    const callId = key === undefined ? header.callId : keyedCallId(live, key);
    if (live.retired) await refuseRetired(this.#options.store, live, callId);
    await this.#refuseBeyondQuota(live, callId);
    if (live.waitsForOld && who.appId !== undefined) await this.#startForOld(live, who.appId);
    return { live, callId };
  }

  /** A call that was accepted before is answered as ever. */
  async #refuseBeyondQuota(live: LiveFunction, callId: string): Promise<void> {
    const { refusalOf, store } = this.#options;
    const reason = refusalOf?.(live);
    if (reason === undefined || (await store.calls.get(callId)) !== undefined) return;
    throw new PlatformError(`${live.app}/${live.name} is not called: ${reason}`, {
      code: "quota_exceeded",
      retryable: false,
    });
  }

  /**
   * A version that calls the one that waits for its end would never end: it is followed at once.
   * That is written down before the call is, so that it holds after a restart too.
   */
  async #startForOld({ appId, app, workspaceId }: LiveFunction, callerId: string): Promise<void> {
    const { registry } = this.#options.store;
    const caller = (await registry.list(workspaceId)).find((each) => each.appId === callerId);
    if (caller?.app !== app || callerId === appId) return;
    await registry.startAtOnce(appId);
    this.#options.functions.startAtOnce(appId);
  }

  /** Writes inputs to the ledger; `enqueue` then puts the new ones in the queue. */
  async #accept(
    live: LiveFunction,
    accepting: Omit<AcceptInputs, "payloads">,
    payloads: readonly Uint8Array[],
  ): Promise<{ readonly call: CallRecord; readonly enqueue: () => void }> {
    const { store, blobs, cache, functions, onError, onLoadChanged } = this.#options;
    const { callId } = accepting.call;
    const stored = await storeAll(blobs, payloads);
    const outcome = await store.ledger
      .acceptInputs({ ...accepting, payloads: stored })
      .catch((error: unknown) => {
        // It may have taken effect, and whoever asked may never ask again.
        live.mayLackJobs = true;
        throw error;
      });
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
      // How many values of a stream there are only the ledger knows.
      const isCached = payload !== undefined && accepting.call.stream !== true;
      if (isCached) cache.put({ callId, index }, payload);
    }
    functions.noteCall(outcome.call);
    const enqueue = (): void => {
      if (from >= end) return;
      const nowMs = this.#options.clock.nowMs();
      live.arrivals.note(end - from, nowMs, live.spec.scaledownWindowMs);
      // A queue that is away loses nothing: the ledger has the inputs, they are enqueued later.
      live.dispatcher.enqueue(callId, from, end).catch((error: unknown) => {
        onError(error, `enqueuing call ${callId}`);
      });
      onLoadChanged();
    };
    return { call: outcome.call, enqueue };
  }

  async #page(call: CallRecord, cursor: number, limit: number): Promise<ResultsPage> {
    const { store, blobs, functions } = this.#options;
    const page = await store.calls.results(call.callId, cursor, limit);
    const results: ResultItem[] = [];
    const payloads: Uint8Array[] = [];
    let bytes = 0;
    for (const result of page.results) {
      const payload = await payloadOf(blobs, result);
      if (results.length > 0 && bytes + payload.byteLength > PAGE_BYTES_MAX) break;
      bytes += payload.byteLength;
      results.push(itemOf(result, payload));
      payloads.push(payload);
    }
    const nextCursor = cursor + results.length;
    const status = statusOf(call, functions.peek(call.functionId));
    return { header: { callId: call.callId, results, nextCursor, status }, payloads };
  }
}

function noCall(callId: string): PlatformError {
  return new PlatformError(`there is no call ${callId}; results are kept 7 days`, {
    code: "not_found",
    retryable: false,
  });
}

function noStream(callId: string): PlatformError {
  return invalid(`call ${callId} was not made to be streamed: ask for its results`);
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

function checkCallId(callId: string): void {
  if (CALL_ID.test(callId)) return;
  throw invalid(`callId must be "ca_" and 26 of 0-9a-z, got ${callId.slice(0, 40)}`);
}

function checkPayloads(payloads: readonly Uint8Array[]): void {
  if (payloads.length > INPUTS_PER_REQUEST_MAX) {
    throw invalid(`a request takes at most ${INPUTS_PER_REQUEST_MAX} inputs`);
  }
  const tooLarge = payloads.findIndex((payload) => payload.byteLength > PAYLOAD_BYTES_MAX);
  if (tooLarge < 0) return;
  throw new PlatformError(
    `input ${tooLarge} has more than ${PAYLOAD_BYTES_MAX} bytes: larger ones are kept as blobs and named by a reference, as the SDK does it`,
    { code: "payload_too_large", retryable: false },
  );
}

async function storeAll(
  blobs: BlobStore,
  payloads: readonly Uint8Array[],
): Promise<readonly StoredPayload[]> {
  return Promise.all(payloads.map(async (payload) => storePayload(blobs, payload)));
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
