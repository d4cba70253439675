/** Rare events of a simulation in order of time: steps to carry out, as plain data. */
import type { MarketEvent } from "../world.ts";
import { EventQueue, type EventQueueState } from "./event-queue.ts";
import type { Machine } from "./machine.ts";

/** Something that happens in the market: to a machine, or to what may be rented. */
export type MarketStep =
  | { readonly kind: "boot" | "reclaim" | "end"; readonly machine: Machine }
  | { readonly kind: "event"; readonly event: MarketEvent }
  /** An availability trace of the market, by its place, comes to one of its steps. */
  | { readonly kind: "follow"; readonly traceIndex: number; readonly step: number };

/** What may be due. */
export type Step = MarketStep | { readonly kind: "started"; readonly containerId: string };

/** A timetable that was written down. Plain data. */
export interface TimetableState {
  readonly queue: EventQueueState;
  readonly steps: Map<number, Step>;
  readonly next: number;
}

export class Timetable {
  readonly #queue = new EventQueue();
  #steps = new Map<number, Step>();
  #next = 0;

  get nextMs(): number {
    return this.#queue.nextMs;
  }

  at(atMs: number, step: Step): void {
    if (atMs === Infinity) return;
    const id = this.#next;
    this.#next = (id + 1) % 0x7fffffff;
    this.#steps.set(id, step);
    this.#queue.push(atMs, id);
  }

  /** Takes the next step out; there must be one. */
  take(): Step | undefined {
    const id = this.#queue.pop();
    const step = this.#steps.get(id);
    this.#steps.delete(id);
    return step;
  }

  /** What it holds, by reference. */
  save(): TimetableState {
    return { queue: this.#queue.save(), steps: this.#steps, next: this.#next };
  }

  /** Takes the place of what it holds. */
  resume({ queue, steps, next }: TimetableState): void {
    this.#queue.resume(queue);
    this.#steps = steps;
    this.#next = next;
  }
}
