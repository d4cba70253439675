/** One request while its client waits: the call that it is, and what the wait ends with. */
import { PlatformError, type Clock } from "../../core/index.ts";
import type { WebRequest } from "../../sandbox/index.ts";
import { encodeValue, type ResultItem } from "../../sdk/protocol/index.ts";
import type { CallService, Principal } from "../services.ts";
import type { Exchange, Opening } from "./exchange.ts";

/** A request that was taken in. */
export interface Started {
  readonly exchange: Exchange;
  readonly callId: string;
  readonly functionId: string;
  readonly who: Principal;
  readonly request: WebRequest;
  /** How long its client waits for the head of the response. */
  readonly withinMs: number;
  /** Whether all of its body is on its way to where it is needed. */
  isSent: boolean;
}

/** A recorded result. */
export interface Recorded {
  readonly item: ResultItem;
  readonly payload: Uint8Array;
}

/** What a wait ends with. */
export type Waited = Opening | ({ readonly kind: "result" } & Recorded);

/** A head that was sent in time is here so long after: containers decide what is in time. */
const ON_ITS_WAY_MS = 2_000;
const FIRST_RESULT = { cursor: 0, limit: 1 } as const;

export interface WaitingDeps {
  readonly calls: Pick<CallService, "create" | "results">;
  readonly clock: Pick<Clock, "sleep">;
}

/**
 * Makes the call and waits for the head of the response, a result without one, or the end of
 * the client's patience.
 *
 * @throws PlatformError as `CallService.create`, and `unavailable` when the signal aborts.
 */
export async function waitForOpening(
  { calls, clock }: WaitingDeps,
  started: Started,
  signal: AbortSignal,
): Promise<Waited> {
  const { exchange, callId, who, functionId, request } = started;
  const payload = encodeValue([request]);
  const sizes = [payload.byteLength];
  const header = { callId, kind: "single", sizes, final: true, waitMs: 0 } as const;
  await calls.create(who, functionId, header, [payload], signal);
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  try {
    return await Promise.race([
      whenAborted(signal),
      exchange.opening,
      resultOrLate(calls, started, stop),
      lateIfNotBegun(clock, started, stop),
    ]);
  } finally {
    over.abort();
  }
}

/** The result of a call once it is recorded; undefined when it is not within the time. */
export async function recordedResult(
  calls: Pick<CallService, "results">,
  who: Principal,
  { callId, waitMs, signal }: { callId: string; waitMs: number; signal: AbortSignal },
): Promise<Recorded | undefined> {
  const page = await calls.results(who, callId, { ...FIRST_RESULT, waitMs, signal });
  const [item] = page.header.results;
  return item === undefined ? undefined : { item, payload: page.payloads[0] ?? new Uint8Array(0) };
}

/** The server closes, or the client has gone. */
export function stopping(): PlatformError {
  return new PlatformError("the server is stopping; try again", {
    code: "unavailable",
    retryable: true,
  });
}

async function resultOrLate(
  calls: WaitingDeps["calls"],
  { callId, who, withinMs }: Started,
  signal: AbortSignal,
): Promise<Waited> {
  const waitMs = withinMs + ON_ITS_WAY_MS;
  const recorded = await recordedResult(calls, who, { callId, waitMs, signal });
  return recorded === undefined ? { kind: "late" } : { kind: "result", ...recorded };
}

/** What has not begun in time is late at once; of what has, the head may be on its way. */
async function lateIfNotBegun(
  clock: WaitingDeps["clock"],
  { exchange, withinMs }: Started,
  signal: AbortSignal,
): Promise<Waited> {
  await clock.sleep(withinMs, signal);
  if (exchange.hasBegun) await clock.sleep(ON_ITS_WAY_MS, signal);
  return { kind: "late" };
}

async function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = (): void => reject(stopping());
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}
