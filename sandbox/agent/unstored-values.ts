/**
 * Values of generators that the server has not said it has stored: kept to be sent again when
 * the link was broken. A runner sends only a window of them ahead, so they are bounded.
 */
export interface UnstoredValue {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

export class UnstoredValues {
  readonly #byInput = new Map<string, UnstoredValue[]>();

  /** Inputs with values that are not stored. */
  get inputIds(): readonly string[] {
    return [...this.#byInput.keys()];
  }

  add(inputId: string, value: UnstoredValue): void {
    const values = this.#byInput.get(inputId);
    if (values === undefined) this.#byInput.set(inputId, [value]);
    else values.push(value);
  }

  /** In the order in which they were yielded. */
  of(inputId: string): readonly UnstoredValue[] {
    return this.#byInput.get(inputId) ?? [];
  }

  /** Everything before position `count` is stored. */
  stored(inputId: string, count: number): void {
    const left = this.of(inputId).filter(({ sequence }) => sequence >= count);
    if (left.length === 0) this.#byInput.delete(inputId);
    else this.#byInput.set(inputId, left);
  }

  /** The input is answered, or its container gone. */
  forget(inputId: string): void {
    this.#byInput.delete(inputId);
  }
}
