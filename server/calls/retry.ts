/** Whether and when an input that failed is tried again: a pure decision. */
import type { CallErrorCode, WireError } from "../../sdk/protocol/index.ts";

/** How often the function's failures are tried again, and how long to wait before each. */
export interface RetryRule {
  /** Tries after the first. */
  readonly count: number;
  readonly initialDelayMs: number;
  /** Each delay is the one before times this. */
  readonly backoff: number;
  readonly maxDelayMs: number;
}

/**
 * Failures of the platform's that another try may not have. Whatever the user's code threw may
 * be tried again; what cannot be sent or started fails the same way each time.
 */
const WORTH_ANOTHER_TRY: Readonly<Record<CallErrorCode, boolean>> = {
  timed_out: true,
  out_of_memory: true,
  container_exited: true,
  attempts_exhausted: false,
  cancelled: false,
  deadline_exceeded: false,
  not_serializable: false,
  payload_too_large: false,
  startup_failed: false,
};

/**
 * How long to wait before the next try of an input that has failed `failures` times, this time
 * included; undefined when that was the last. The delay before try `n + 1` is
 * `min(maxDelayMs, initialDelayMs * backoff^(n - 1))`.
 */
export function retryDelayMs(
  rule: RetryRule,
  failures: number,
  error: WireError | undefined,
): number | undefined {
  if (failures > rule.count) return undefined;
  if (error?.code !== undefined && !WORTH_ANOTHER_TRY[error.code]) return undefined;
  return Math.min(rule.maxDelayMs, rule.initialDelayMs * rule.backoff ** (failures - 1));
}
