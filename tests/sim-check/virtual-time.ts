/**
 * Virtual time for code that was written for real time.
 *
 * One queue of instants drives a whole world. The timers of the language are replaced for as long
 * as a world runs, so that production code which uses them (group commits, pauses) moves with the
 * same clock and never with the machine's. Between two instants everything that is ready runs to
 * its end, so a run does not depend on how fast the machine is.
 */
import type { Clock } from "../../core/index.ts";

interface Alarm {
  readonly atMs: number;
  readonly order: number;
  readonly ring: () => void;
  isOff: boolean;
}

/** What takes an alarm back. */
export type CancelAlarm = () => void;

const realSetImmediate = globalThis.setImmediate;

/** The time of one world, the same for all who live in it. */
export class VirtualTime {
  #nowMs: number;
  #order = 0;
  /** A binary heap by (instant, order of entry). */
  readonly #alarms: Alarm[] = [];
  #immediates: (() => void)[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  /** Calls `ring` once at an instant; at the next moment when that is past. */
  at(atMs: number, ring: () => void): CancelAlarm {
    const alarm: Alarm = { atMs, order: (this.#order += 1), ring, isOff: false };
    this.#push(alarm);
    return () => {
      alarm.isOff = true;
    };
  }

  after(delayMs: number, ring: () => void): CancelAlarm {
    return this.at(this.#nowMs + Math.max(0, delayMs), ring);
  }

  /** A clock that is ahead of this time by what `jumpMs` says at the moment. */
  clock(jumpMs: () => number = () => 0): Clock {
    return {
      nowMs: () => this.#nowMs + jumpMs(),
      sleep: (durationMs, signal) => this.#sleep(durationMs, signal),
    };
  }

  /** Lets time pass: every alarm rings at its own instant, and what follows from it happens. */
  async advanceTo(untilMs: number): Promise<void> {
    await this.settle();
    for (let next = this.#alarms[0]; next !== undefined; next = this.#alarms[0]) {
      if (next.atMs > untilMs) break;
      this.#pop();
      if (next.isOff) continue;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.ring();
      await this.settle();
    }
    this.#nowMs = untilMs;
  }

  /** Runs everything that waits for nothing but its turn. */
  async settle(): Promise<void> {
    do {
      for (const run of this.#immediates.splice(0)) run();
      await new Promise<void>((resolve) => void realSetImmediate(resolve));
    } while (this.#immediates.length > 0);
  }

  /** Makes the timers of the language those of this time; gives what undoes it. */
  install(): () => void {
    const { setTimeout, clearTimeout, setImmediate, clearImmediate } = globalThis;
    const timers = {
      setTimeout: (ring: (...given: unknown[]) => void, delayMs = 0, ...given: unknown[]) =>
        handleOf(this.after(delayMs, () => ring(...given))),
      clearTimeout: cancelHandle,
      setImmediate: (run: (...given: unknown[]) => void, ...given: unknown[]) => {
        let isOff = false;
        this.#immediates.push(() => {
          if (!isOff) run(...given);
        });
        return handleOf(() => {
          isOff = true;
        });
      },
      clearImmediate: cancelHandle,
    };
    Object.assign(globalThis, timers);
    return () => {
      Object.assign(globalThis, { setTimeout, clearTimeout, setImmediate, clearImmediate });
    };
  }

  #sleep(durationMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const cancel = this.after(durationMs, resolve);
      const wake = (): void => {
        cancel();
        resolve();
      };
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  #push(alarm: Alarm): void {
    const heap = this.#alarms;
    let hole = heap.length;
    heap.push(alarm);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(alarm, above)) break;
      heap[hole] = above;
      hole = parent;
    }
    heap[hole] = alarm;
  }

  #pop(): void {
    const heap = this.#alarms;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let hole = 0;
    for (;;) {
      const left = heap[2 * hole + 1];
      const right = heap[2 * hole + 2];
      if (left === undefined) break;
      const isRight = right !== undefined && isBefore(right, left);
      const child = isRight ? right : left;
      if (!isBefore(child, last)) break;
      heap[hole] = child;
      hole = 2 * hole + (isRight ? 2 : 1);
    }
    heap[hole] = last;
  }
}

function isBefore(one: Alarm, other: Alarm): boolean {
  return one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs;
}

interface Handle {
  readonly cancel: CancelAlarm;
  ref(): Handle;
  unref(): Handle;
}

function handleOf(cancel: CancelAlarm): Handle {
  const handle: Handle = { cancel, ref: () => handle, unref: () => handle };
  return handle;
}

function cancelHandle(handle: Handle | undefined): void {
  handle?.cancel();
}
