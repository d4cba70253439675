/** From a page of results to what the user awaits. */
import type { Client, ReceivedResult, ResultsPage } from "./client/client.ts";
import { decodePayload } from "./client/large-values.ts";
import { pause } from "./client/pause.ts";
import { CallError, TimeoutError } from "./errors.ts";
import { WAIT_MS_MAX } from "./protocol/api.ts";
import { rebuildError } from "./remote-error.ts";

/** A server that answers a long poll with nothing this fast is asked again only after a pause. */
const EMPTY_ANSWER_MS_MIN = 100;

/** The value of a result. @throws the user's own error rebuilt, or a CallError. */
export async function valueOf(
  client: Client,
  result: ReceivedResult,
  signal?: AbortSignal,
): Promise<unknown> {
  if (result.outcome === "succeeded") {
    return await decodePayload(result.payload, client.chunks, signal);
  }
  if (result.error !== undefined) throw rebuildError(result.error);
  throw result.outcome === "cancelled"
    ? new CallError("the call was cancelled", { code: "cancelled" })
    : new CallError("the input failed and left no reason", { code: "container_exited" });
}

/** The value of a result, or the error that `valueOf` would throw. */
export async function valueOrErrorOf(
  client: Client,
  result: ReceivedResult,
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    return await valueOf(client, result, signal);
  } catch (error) {
    signal?.throwIfAborted();
    return error;
  }
}

export interface WaitOptions {
  readonly client: Client;
  readonly callId: string;
  /** Rejects with a TimeoutError after this long; absent waits for ever. */
  readonly timeoutMs?: number | undefined;
  /** What the request that started the call already brought. */
  readonly firstPage?: ResultsPage;
  /** Rejects with its reason when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** The value of a call with one input. @throws as `valueOf`, or TimeoutError. */
export async function waitForValue(options: WaitOptions): Promise<unknown> {
  const { client, callId, timeoutMs = Infinity, signal } = options;
  const deadlineMs = performance.now() + timeoutMs;
  let page = options.firstPage;
  for (;;) {
    const [result] = page?.results ?? [];
    if (result !== undefined) return valueOf(client, result, signal);
    if (page !== undefined && page.status.state === "cancelled") {
      throw new CallError(`call ${callId} was cancelled`, { code: "cancelled" });
    }
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0 && page !== undefined) throw timeoutOf(callId, timeoutMs, page);
    const waitMs = Math.ceil(Math.min(WAIT_MS_MAX, Math.max(0, leftMs)));
    page = await pollResults({ client, callId, cursor: 0, limit: 1, waitMs, signal });
    signal?.throwIfAborted();
  }
}

export interface PollOptions {
  readonly client: Client;
  readonly callId: string;
  readonly cursor: number;
  readonly limit: number;
  readonly waitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** One long poll. An empty answer that came at once is followed by a pause. */
export async function pollResults(options: PollOptions): Promise<ResultsPage> {
  const { client, callId, cursor, limit, waitMs, signal } = options;
  const startedAtMs = performance.now();
  const page = await client.results(callId, { cursor, limit, waitMs }, signal);
  const spentMs = performance.now() - startedAtMs;
  const isRushed = spentMs < Math.min(waitMs, EMPTY_ANSWER_MS_MIN);
  if (page.results.length === 0 && page.status.state === "running" && isRushed) {
    await pause(EMPTY_ANSWER_MS_MIN - spentMs, signal);
  }
  return page;
}

function timeoutOf(callId: string, timeoutMs: number, page: ResultsPage): TimeoutError {
  const { pendingReason } = page.status;
  const reason = pendingReason === undefined ? "" : `; it waits because ${pendingReason}`;
  return new TimeoutError(`call ${callId} has no result after ${timeoutMs} ms${reason}`);
}
