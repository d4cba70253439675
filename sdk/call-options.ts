/** How one call is made: `fn.with(options)`. */
import { currentInput } from "./current-input.ts";
import { UsageError } from "./errors.ts";

/** Conditions of the calls that are made through `fn.with(options)`. */
export interface CallOptions {
  /**
   * Ends the call when it aborts, and with it what runs on the platform. Within a container the
   * signal of the present input does so too, but for calls that were spawned.
   */
  readonly signal?: AbortSignal;
  /**
   * The whole call, waiting included, must have ended after this long, 1 ms to 7 days; what has
   * no result then fails with the code `deadline_exceeded`. A call that is made within another
   * one never has longer than that has left.
   */
  readonly deadlineMs?: number;
  /**
   * Calls of one function with the same key are one call for 7 days: sent again, from this
   * process or another, it gives the first one's result. 1 to 255 characters. Not for maps.
   */
  readonly idempotencyKey?: string;
}

const DEADLINE_MS_MAX = 7 * 24 * 60 * 60 * 1_000;
const KEY_CHARACTERS_MAX = 255;

/** @throws UsageError naming the option that is wrong. */
export function checkCallOptions({ deadlineMs, idempotencyKey }: CallOptions): void {
  const isDeadline =
    deadlineMs === undefined ||
    (Number.isInteger(deadlineMs) && deadlineMs >= 1 && deadlineMs <= DEADLINE_MS_MAX);
  if (!isDeadline) {
    throw new UsageError(
      `deadlineMs must be a whole number from 1 to ${DEADLINE_MS_MAX}, got ${deadlineMs}`,
    );
  }
  const isKey =
    idempotencyKey === undefined ||
    (idempotencyKey.length >= 1 && idempotencyKey.length <= KEY_CHARACTERS_MAX);
  if (!isKey)
    throw new UsageError(`idempotencyKey must have 1 to ${KEY_CHARACTERS_MAX} characters`);
}

/** What the request that starts a call says of them; the input that makes it is its parent. */
export function callHeaderOf({ deadlineMs, idempotencyKey }: CallOptions): {
  readonly deadlineInMs?: number;
  readonly idempotencyKey?: string;
  readonly parentCallId?: string;
} {
  const parentCallId = currentInput()?.callId;
  return {
    ...(deadlineMs === undefined ? {} : { deadlineInMs: deadlineMs }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(parentCallId === undefined ? {} : { parentCallId }),
  };
}

/** What ends a call that is waited for: its own signal, and that of the input that makes it. */
export function signalOf({ signal }: CallOptions): AbortSignal | undefined {
  const parent = currentInput()?.signal;
  if (signal === undefined || parent === undefined) return signal ?? parent;
  return AbortSignal.any([signal, parent]);
}
