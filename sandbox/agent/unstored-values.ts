/**
 * Values of generators that the server has not said it has stored: kept to be sent again when
 * the link was broken. A runner sends only a window of them ahead, so they are bounded.
 */
import type { ValueHeader } from "../runners/protocol.ts";

export interface UnstoredValue {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Values of one input that are not stored. */
export interface UnstoredBatch {
  readonly inputId: string;
  readonly values: readonly ValueHeader[];
  readonly payloads: readonly Uint8Array[];
}

export class UnstoredValues {
  readonly #byInput = new Map<string, UnstoredValue[]>();

  /** What is to be sent again of each input, in the order in which it was yielded. */
  get batches(): readonly UnstoredBatch[] {
    return [...this.#byInput].map(([inputId, all]) => ({
      inputId,
      values: all.map(({ sequence, payload }) => {
        return { inputId, sequence, bytes: payload.byteLength };
      }),
      payloads: all.map(({ payload }) => payload),
    }));
  }

  add(inputId: string, value: UnstoredValue): void {
    const values = this.#byInput.get(inputId);
    if (values === undefined) this.#byInput.set(inputId, [value]);
    else values.push(value);
  }

  /** Everything before position `count` is stored. */
  stored(inputId: string, count: number): void {
    const all = this.#byInput.get(inputId) ?? [];
    const left = all.filter(({ sequence }) => sequence >= count);
    if (left.length === 0) this.#byInput.delete(inputId);
    else this.#byInput.set(inputId, left);
  }

  /** The input is answered, or its container gone. */
  forget(inputId: string): void {
    this.#byInput.delete(inputId);
  }
}
