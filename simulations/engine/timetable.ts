/** Rare events of a simulation in order of time: steps to carry out. */
import { EventQueue } from "./event-queue.ts";

export class Timetable {
  readonly #queue = new EventQueue();
  readonly #steps = new Map<number, () => void>();
  #next = 0;

  get nextMs(): number {
    return this.#queue.nextMs;
  }

  at(atMs: number, step: () => void): void {
    if (atMs === Infinity) return;
    const id = this.#next;
    this.#next = (id + 1) % 0x7fffffff;
    this.#steps.set(id, step);
    this.#queue.push(atMs, id);
  }

  /** Carries out the next step. */
  run(): void {
    const id = this.#queue.pop();
    const step = this.#steps.get(id);
    this.#steps.delete(id);
    step?.();
  }
}
