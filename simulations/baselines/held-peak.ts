/** The highest value of the last while; amortised O(1) a value, memory O(values in it). */
export class HeldPeak {
  readonly #holdMs: number;
  /** Values that may still be the highest: falling, the oldest first. */
  readonly #values: { readonly atMs: number; readonly value: number }[] = [];

  /** @param holdMs How long a value counts; with 0 only the present one does. */
  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** Takes the value of a moment and gives the highest of the time up to it. Moments do not go back. */
  observe(atMs: number, value: number): number {
    while ((this.#values.at(-1)?.value ?? Infinity) <= value) this.#values.pop();
    this.#values.push({ atMs, value });
    while ((this.#values[0]?.atMs ?? atMs) < atMs - this.#holdMs) this.#values.shift();
    return this.#values[0]?.value ?? value;
  }
}
