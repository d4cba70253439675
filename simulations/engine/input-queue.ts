/**
 * Inputs of one function that wait. Those with a slot run first, in the order in which they got
 * it; then what ran in a container that is gone; then whose turn it is (`turnOf` of the
 * scheduler), as in production.
 */
import { turnOf } from "../../scheduler/index.ts";
import { WaitingRing, type WaitingInput, type WaitingRingState } from "./waiting-ring.ts";

/** A queue that was written down. Plain data. */
export interface InputQueueState {
  readonly slotted: WaitingRingState;
  readonly again: WaitingRingState;
  readonly fresh: WaitingRingState;
  readonly late: WaitingRingState;
}

export class InputQueue {
  /** Those that have a slot and do not run in it yet. */
  readonly #slotted = new WaitingRing();
  /** Those that run again. */
  readonly #again = new WaitingRing();
  /** Those that can be on time, as far as was looked; in the order in which they came. */
  readonly #fresh = new WaitingRing();
  /** Those that cannot; in the order in which they came. */
  readonly #late = new WaitingRing();

  get length(): number {
    return this.#slotted.length + this.unslotted;
  }

  /** Inputs without a slot. */
  get unslotted(): number {
    return this.#again.length + this.#fresh.length + this.#late.length;
  }

  push(arrivedMs: number, serviceMs: number): void {
    this.#fresh.push({ arrivedMs, serviceMs, slotMs: NaN });
  }

  /** Puts one in front: it runs again, and has no slot any more. All others lose theirs, too. */
  unshift(arrivedMs: number, serviceMs: number): void {
    for (let input = this.#slotted.pop(); input !== undefined; input = this.#slotted.pop()) {
      this.#again.unshift({ ...input, slotMs: NaN });
    }
    this.#again.unshift({ arrivedMs, serviceMs, slotMs: NaN });
  }

  /** Gives the next input without a slot one; gives when it came, or NaN when all have one. */
  giveSlot(nowMs: number): number {
    const input = this.#next(nowMs);
    if (input === undefined) return NaN;
    this.#slotted.push({ ...input, slotMs: nowMs });
    return input.arrivedMs;
  }

  /** Takes out what runs next; undefined when nothing waits. */
  shift(nowMs: number): WaitingInput | undefined {
    return this.#slotted.shift() ?? this.#next(nowMs);
  }

  /** When each came, in no particular order; for the end of a run. */
  *arrivals(): Iterable<number> {
    for (const ring of [this.#slotted, this.#again, this.#late, this.#fresh]) {
      yield* ring.arrivals();
    }
  }

  /** What it holds, by reference. */
  save(): InputQueueState {
    return {
      slotted: this.#slotted.save(),
      again: this.#again.save(),
      fresh: this.#fresh.save(),
      late: this.#late.save(),
    };
  }

  /** Takes the place of what it holds. */
  resume({ slotted, again, fresh, late }: InputQueueState): void {
    this.#slotted.resume(slotted);
    this.#again.resume(again);
    this.#fresh.resume(fresh);
    this.#late.resume(late);
  }

  #next(nowMs: number): WaitingInput | undefined {
    if (this.#again.length > 0) return this.#again.shift();
    while (this.#fresh.length > 0 && turnOf(nowMs - this.#fresh.firstArrivedMs) !== 1) {
      const input = this.#fresh.shift();
      if (input !== undefined) this.#late.push(input);
    }
    if (this.#late.length === 0) return this.#fresh.shift();
    if (turnOf(nowMs - this.#late.firstArrivedMs) === 0) return this.#late.shift();
    return this.#fresh.shift() ?? this.#late.shift();
  }
}
