import type { HeldPeaks } from "../capacity-policy.ts";

/** The highest value of the last while; amortised O(1) a value, memory O(values in it). */
export class HeldPeak {
  readonly #holdMs: number;
  /** Values that may still be the highest: falling, the oldest first. */
  readonly #values: { readonly atMs: number; readonly value: number }[];

  /**
   * @param holdMs How long a value counts; with 0 only the present one does.
   * @param values Those that another one held.
   */
  constructor(holdMs: number, values: { readonly atMs: number; readonly value: number }[] = []) {
    this.#holdMs = holdMs;
    this.#values = values;
  }

  /** Values that may still be the highest, by reference. */
  get values(): { readonly atMs: number; readonly value: number }[] {
    return this.#values;
  }

  /** Takes the value of a moment and gives the highest of the time up to it. Moments do not go back. */
  observe(atMs: number, value: number): number {
    while ((this.#values.at(-1)?.value ?? Infinity) <= value) this.#values.pop();
    this.#values.push({ atMs, value });
    while ((this.#values[0]?.atMs ?? atMs) < atMs - this.#holdMs) this.#values.shift();
    return this.#values[0]?.value ?? value;
  }
}

/** The highest values of the last while of many things, by name. */
export class PeakTable {
  readonly #holdMs: number;
  readonly #peaks = new Map<string, HeldPeak>();

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  get names(): readonly string[] {
    return [...this.#peaks.keys()];
  }

  /** As `HeldPeak.observe`, for one of them. */
  observe(name: string, atMs: number, value: number): number {
    const peak = this.#peaks.get(name) ?? new HeldPeak(this.#holdMs);
    this.#peaks.set(name, peak);
    return peak.observe(atMs, value);
  }

  forget(name: string): void {
    this.#peaks.delete(name);
  }

  /** All values, by reference. */
  save(): HeldPeaks {
    return new Map([...this.#peaks].map(([name, peak]) => [name, peak.values]));
  }

  /** Takes the place of all values. */
  resume(saved: HeldPeaks): void {
    this.#peaks.clear();
    for (const [name, values] of saved) this.#peaks.set(name, new HeldPeak(this.#holdMs, values));
  }
}
