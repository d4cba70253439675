/** Inputs in a row: a ring of flat lists, cheap at both ends. */

/** A ring that was written down. Plain data. */
export interface WaitingRingState {
  readonly arrivedMs: Float64Array<ArrayBuffer>;
  readonly serviceMs: Float64Array<ArrayBuffer>;
  readonly slotMs: Float64Array<ArrayBuffer>;
  readonly head: number;
  readonly length: number;
}

/** What is known of one waiting input; `slotMs` is NaN while it has no slot. */
export interface WaitingInput {
  readonly arrivedMs: number;
  readonly serviceMs: number;
  readonly slotMs: number;
}

export class WaitingRing {
  #arrivedMs = new Float64Array(64);
  #serviceMs = new Float64Array(64);
  #slotMs = new Float64Array(64);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** When the first came; NaN when there is none. */
  get firstArrivedMs(): number {
    return this.#length === 0 ? NaN : (this.#arrivedMs[this.#head] ?? NaN);
  }

  push(input: WaitingInput): void {
    if (this.#length === this.#arrivedMs.length) this.#grow();
    this.#set((this.#head + this.#length) & (this.#arrivedMs.length - 1), input);
    this.#length += 1;
  }

  unshift(input: WaitingInput): void {
    if (this.#length === this.#arrivedMs.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#arrivedMs.length - 1);
    this.#set(this.#head, input);
    this.#length += 1;
  }

  /** Takes the first out; undefined when there is none. */
  shift(): WaitingInput | undefined {
    if (this.#length === 0) return undefined;
    const first = this.#at(this.#head);
    this.#head = (this.#head + 1) & (this.#arrivedMs.length - 1);
    this.#length -= 1;
    return first;
  }

  /** Takes the last out; undefined when there is none. */
  pop(): WaitingInput | undefined {
    if (this.#length === 0) return undefined;
    this.#length -= 1;
    return this.#at((this.#head + this.#length) & (this.#arrivedMs.length - 1));
  }

  /** When each came, first one first. */
  *arrivals(): Iterable<number> {
    for (let index = 0; index < this.#length; index += 1) {
      yield this.#arrivedMs[(this.#head + index) & (this.#arrivedMs.length - 1)] ?? 0;
    }
  }

  /** What it holds, by reference. */
  save(): WaitingRingState {
    return {
      arrivedMs: this.#arrivedMs,
      serviceMs: this.#serviceMs,
      slotMs: this.#slotMs,
      head: this.#head,
      length: this.#length,
    };
  }

  /** Takes the place of what it holds. */
  resume({ arrivedMs, serviceMs, slotMs, head, length }: WaitingRingState): void {
    this.#arrivedMs = arrivedMs;
    this.#serviceMs = serviceMs;
    this.#slotMs = slotMs;
    this.#head = head;
    this.#length = length;
  }

  #at(place: number): WaitingInput {
    return {
      arrivedMs: this.#arrivedMs[place] ?? 0,
      serviceMs: this.#serviceMs[place] ?? 0,
      slotMs: this.#slotMs[place] ?? NaN,
    };
  }

  #set(place: number, { arrivedMs, serviceMs, slotMs }: WaitingInput): void {
    this.#arrivedMs[place] = arrivedMs;
    this.#serviceMs[place] = serviceMs;
    this.#slotMs[place] = slotMs;
  }

  #grow(): void {
    const inputs: WaitingInput[] = [];
    for (let index = 0; index < this.#length; index += 1) {
      inputs.push(this.#at((this.#head + index) & (this.#arrivedMs.length - 1)));
    }
    const size = 2 * this.#arrivedMs.length;
    this.#arrivedMs = new Float64Array(size);
    this.#serviceMs = new Float64Array(size);
    this.#slotMs = new Float64Array(size);
    this.#head = 0;
    for (const [index, input] of inputs.entries()) this.#set(index, input);
  }
}
