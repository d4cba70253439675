/** Waiting for a call to change: long polls sleep here until a result is recorded. */
import type { StoredResult } from "../store/record-store.ts";

/** A just recorded result with its payload, so that the one who waits need not read it back. */
export interface FreshResult {
  readonly result: StoredResult;
  readonly payload: Uint8Array;
}

interface Watcher {
  readonly wake: (fresh: FreshResult | undefined) => void;
}

export class CallWatch {
  readonly #watchers = new Map<string, Set<Watcher>>();

  /** Whether anybody waits for this call in this process. */
  isWatched(callId: string): boolean {
    return this.#watchers.has(callId);
  }

  /**
   * Registers at once and resolves at the next `notify` of the call with what it brought, or
   * with undefined when `signal` aborts or `waitMs` is over.
   */
  async next(
    callId: string,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<FreshResult | undefined> {
    const { promise, resolve } = Promise.withResolvers<FreshResult | undefined>();
    const watcher: Watcher = { wake: resolve };
    const watchers = this.#watchers.get(callId) ?? new Set();
    this.#watchers.set(callId, watchers.add(watcher));
    const giveUp = (): void => resolve(undefined);
    const timer = setTimeout(giveUp, waitMs);
    signal.addEventListener("abort", giveUp, { once: true });
    if (signal.aborted) giveUp();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      watchers.delete(watcher);
      if (watchers.size === 0) this.#watchers.delete(callId);
    }
  }

  /** Wakes everybody who waits for the call. */
  notify(callId: string, fresh?: FreshResult): void {
    for (const watcher of this.#watchers.get(callId) ?? []) watcher.wake(fresh);
  }

  /** Wakes everybody with nothing: the server is going down. */
  notifyAll(): void {
    for (const callId of [...this.#watchers.keys()]) this.notify(callId);
  }
}
