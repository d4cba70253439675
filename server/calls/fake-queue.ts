/** A queue of ranges in memory, for tests. */
import type { InputRange, LeasedRange, RangeQueue } from "./function-queue.ts";

/** What is taken and neither finished nor put back counts as held. */
export class MemoryQueue implements RangeQueue {
  waiting: (InputRange & { readonly addedAtMs: number })[] = [];
  readonly held = new Map<string, InputRange>();
  /** What was renewed last. */
  renewed: readonly LeasedRange[] = [];
  /** Times somebody asked for a range. */
  asked = 0;
  #taken = 0;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number = () => 0) {
    this.#nowMs = nowMs;
  }

  add(ranges: readonly InputRange[]): Promise<void> {
    const addedAtMs = this.#nowMs();
    this.waiting.push(...ranges.map((range) => ({ ...range, addedAtMs })));
    return Promise.resolve();
  }

  lease(range: InputRange): ReturnType<RangeQueue["lease"]> {
    const leaseId = `leased-${range.callId}-${range.from}`;
    this.held.set(leaseId, range);
    return { range: { ...range, leaseId, addedAtMs: this.#nowMs() }, stored: Promise.resolve() };
  }

  take(): Promise<LeasedRange | undefined> {
    this.asked += 1;
    const range = this.waiting.shift();
    if (range === undefined) return Promise.resolve(undefined);
    this.#taken += 1;
    const leaseId = String(this.#taken);
    this.held.set(leaseId, range);
    return Promise.resolve({ ...range, leaseId });
  }

  finish(lease: LeasedRange): Promise<void> {
    this.held.delete(lease.leaseId);
    return Promise.resolve();
  }

  putBack(lease: LeasedRange): Promise<void> {
    this.held.delete(lease.leaseId);
    this.waiting.unshift(lease);
    return Promise.resolve();
  }

  renew(leases: readonly LeasedRange[]): Promise<void> {
    this.renewed = leases;
    return Promise.resolve();
  }

  depth(): Promise<number> {
    return Promise.resolve(this.waiting.length + this.held.size);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
