/**
 * Ranges of one function's queue, in the order in which their turn comes.
 *
 * The queue gives the oldest first. While inputs are on time that is the order (`turn.ts` of the
 * scheduler). When the oldest is late, more are taken than can run, until one is found that can
 * still be on time; the late ones are held here, locked and renewed, until nothing goes before
 * them. They are given back when this closes; when this dies, their locks end.
 */
import { turnOf, type Turn } from "../../scheduler/index.ts";
import type { InputRange, LeasedRange, RangeQueue } from "./function-queue.ts";

/** An empty queue is asked again this often: others fill it too. */
const ASK_AGAIN_MS = 250;
/** Ranges held at most; their locks are renewed in one round trip. */
const HELD_MAX = 2_000;

export class RangeLine {
  readonly #queue: RangeQueue;
  readonly #nowMs: () => number;
  /** Taken and not given out, oldest first. */
  #held: LeasedRange[] = [];
  /** Ranges that were put in the queue here and not taken yet, as far as is known. */
  #expectedCount = 0;
  /** Ranges on their way into the queue. */
  #addingCount = 0;
  /** Nothing is known to be in the queue: no need to look before this. */
  #askAgainAtMs = 0;

  constructor(queue: RangeQueue, nowMs: () => number) {
    this.#queue = queue;
    this.#nowMs = nowMs;
  }

  /** Whether, as far as is known, nothing waits in the queue, and it was looked at lately. */
  get isDry(): boolean {
    return this.isEmpty && this.#nowMs() < this.#askAgainAtMs;
  }

  /** Whether nothing waits here or, as far as is known, in the queue. */
  get isEmpty(): boolean {
    return this.#held.length + this.#expectedCount === 0;
  }

  /** What is locked here; to be renewed. */
  get held(): readonly LeasedRange[] {
    return this.#held;
  }

  /** Puts ranges in the queue. Resolves when Redis has them; they may be asked for at once. */
  async add(ranges: readonly InputRange[]): Promise<void> {
    this.#addingCount += ranges.length;
    this.#expectedCount += ranges.length;
    try {
      await this.#queue.add(ranges);
    } finally {
      this.#addingCount -= ranges.length;
    }
  }

  /**
   * Takes the range whose turn it is; undefined when none waits. One round trip, and one more for
   * each range that steps aside.
   *
   * @param runnableCount Ranges that can run until one is overdue: as many are held at most.
   */
  async next(runnableCount: number): Promise<LeasedRange | undefined> {
    const heldMax = Math.min(HELD_MAX, runnableCount);
    while (this.#needsOther() && this.#held.length <= heldMax) {
      const range = await this.#take();
      if (range === undefined) break;
      this.#held.push(range);
    }
    return this.#pick();
  }

  /** Gives back what is held here. */
  async putBack(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    await Promise.allSettled(held.map((range) => this.#queue.putBack(range)));
  }

  /** Whether something that is not held here may go before all that is. */
  #needsOther(): boolean {
    if (this.#held.length === 0) return true;
    if (this.#held.some((range) => this.#turnOf(range) < 2)) return false;
    return this.#expectedCount > 0 || this.#nowMs() >= this.#askAgainAtMs;
  }

  #pick(): LeasedRange | undefined {
    let best: LeasedRange | undefined;
    let bestTurn: Turn = 2;
    for (const range of this.#held) {
      const turn = this.#turnOf(range);
      if (best !== undefined && turn >= bestTurn) continue;
      [best, bestTurn] = [range, turn];
    }
    if (best !== undefined) this.#held.splice(this.#held.indexOf(best), 1);
    return best;
  }

  async #take(): Promise<LeasedRange | undefined> {
    const range = await this.#queue.take();
    if (range !== undefined) {
      this.#expectedCount = Math.max(0, this.#expectedCount - 1);
      return range;
    }
    // What is on its way may have come after the question.
    this.#expectedCount = this.#addingCount;
    this.#askAgainAtMs = this.#nowMs() + ASK_AGAIN_MS;
    return undefined;
  }

  #turnOf({ addedAtMs }: LeasedRange): Turn {
    return turnOf(this.#nowMs() - addedAtMs);
  }
}
