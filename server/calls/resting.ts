/** Inputs that failed and are tried again later. */
import type { WireError } from "../../sdk/protocol/index.ts";
import type { LocalInput } from "./input.ts";
import { retryDelayMs, type RetryRule } from "./retry.ts";

export class Resting {
  readonly #rule: RetryRule;
  readonly #untilMs = new Map<LocalInput, number>();

  constructor(rule: RetryRule) {
    this.#rule = rule;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  get inputs(): readonly LocalInput[] {
    return [...this.#untilMs.keys()];
  }

  /** Lets an input that failed rest before its next try; false when that was its last. */
  add(input: LocalInput, error: WireError | undefined, nowMs: number): boolean {
    const delayMs = retryDelayMs(this.#rule, input.failures + 1, error);
    if (delayMs === undefined) return false;
    input.failures += 1;
    input.excusedAttempts += 1;
    this.#untilMs.set(input, nowMs + delayMs);
    return true;
  }

  delete(input: LocalInput): void {
    this.#untilMs.delete(input);
  }

  /** Takes out those that have rested long enough. */
  takeRested(nowMs: number): readonly LocalInput[] {
    const rested = this.inputs.filter((input) => (this.#untilMs.get(input) ?? 0) <= nowMs);
    for (const input of rested) this.delete(input);
    return rested;
  }
}
