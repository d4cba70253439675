/** Waiting, and how long between attempts. */

const FIRST_DELAY_MS = 50;
const DELAY_MS_MAX = 2_000;

/** Resolves after `delayMs`, or at once when `signal` aborts. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve();
      return;
    }
    const finish = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, delayMs);
    signal?.addEventListener("abort", finish, { once: true });
  });
}

/**
 * How long to wait before attempt `attempt + 1`, `attempt` counted from 1: exponential, capped,
 * and anywhere in its upper half, so that clients that failed together do not come back together.
 */
export function backoffMs(attempt: number): number {
  const delayMs = Math.min(DELAY_MS_MAX, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return delayMs * (0.5 + Math.random() / 2);
}
