/**
 * The inputs of one container that have no result yet, and since when those run that run.
 *
 * The runner begins inputs in the order in which they came, so the oldest ones, as many as it
 * runs at once, are those that run; the oldest of all has run longest.
 */
export class HeldInputs {
  readonly #runningMax: number;
  /** When each began, in the order they came; undefined while it waits. */
  readonly #beganAtMs = new Map<string, number | undefined>();

  /** @param runningMax How many run at once, >= 1. */
  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /** Oldest first. */
  get ids(): readonly string[] {
    return [...this.#beganAtMs.keys()];
  }

  /** How many run now. */
  get runningCount(): number {
    return Math.min(this.#runningMax, this.#beganAtMs.size);
  }

  has(inputId: string): boolean {
    return this.#beganAtMs.has(inputId);
  }

  isRunning(inputId: string): boolean {
    return this.#beganAtMs.get(inputId) !== undefined;
  }

  add(inputIds: readonly string[], nowMs: number): void {
    for (const inputId of inputIds) {
      if (!this.has(inputId)) this.#beganAtMs.set(inputId, undefined);
    }
    this.#begin(nowMs);
  }

  /** Takes inputs out; gives those that were here. The next in line begin. */
  remove(inputIds: readonly string[], nowMs: number): Set<string> {
    const removed = new Set(inputIds.filter((inputId) => this.#beganAtMs.delete(inputId)));
    this.#begin(nowMs);
    return removed;
  }

  /** Takes out one that ran; of those that ran with it, each had its share of the time. */
  end(inputId: string, nowMs: number): { readonly runMs: number; readonly busyMs?: number } {
    const runMs = this.runMsOf(inputId, nowMs);
    const { runningCount } = this;
    this.remove([inputId], nowMs);
    return { runMs, ...(runningCount > 1 ? { busyMs: runMs / runningCount } : {}) };
  }

  /** The container can run only now: what counted as running begins anew. */
  restart(nowMs: number): void {
    for (const inputId of this.#beganAtMs.keys()) this.#beganAtMs.set(inputId, undefined);
    this.#begin(nowMs);
  }

  /** How long an input has run; 0 while it waits. */
  runMsOf(inputId: string, nowMs: number): number {
    return nowMs - (this.#beganAtMs.get(inputId) ?? nowMs);
  }

  /** How long the one has run that has run longest; 0 when none runs. */
  longestRunMs(nowMs: number): number {
    const [oldest] = this.#beganAtMs.keys();
    return oldest === undefined ? 0 : this.runMsOf(oldest, nowMs);
  }

  #begin(nowMs: number): void {
    let position = 0;
    for (const [inputId, beganAtMs] of this.#beganAtMs) {
      if (position >= this.#runningMax) return;
      position += 1;
      if (beganAtMs === undefined) this.#beganAtMs.set(inputId, nowMs);
    }
  }
}
