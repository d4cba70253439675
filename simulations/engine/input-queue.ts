/** Inputs of one function that wait, first come first served: a ring of flat lists. */
/** A queue that was written down. Plain data. */
export interface InputQueueState {
  readonly arrivedMs: Float64Array<ArrayBuffer>;
  readonly serviceMs: Float64Array<ArrayBuffer>;
  readonly slotMs: Float64Array<ArrayBuffer>;
  readonly head: number;
  readonly length: number;
  readonly slotted: number;
}

export class InputQueue {
  #arrivedMs = new Float64Array(64);
  #serviceMs = new Float64Array(64);
  /** When it was given a slot that it does not yet run in; NaN while it has none. */
  #slotMs = new Float64Array(64);
  #head = 0;
  #length = 0;
  /** How many of the first have a slot; they are always the first. */
  #slotted = 0;

  get length(): number {
    return this.#length;
  }

  /** Inputs without a slot. */
  get unslotted(): number {
    return this.#length - this.#slotted;
  }

  /** When the first came; the queue must not be empty. */
  get firstArrivedMs(): number {
    return this.#arrivedMs[this.#head] ?? 0;
  }

  get firstServiceMs(): number {
    return this.#serviceMs[this.#head] ?? 0;
  }

  /** When the first was given a slot; NaN if it has none. */
  get firstSlotMs(): number {
    return this.#slotted > 0 ? (this.#slotMs[this.#head] ?? NaN) : NaN;
  }

  push(arrivedMs: number, serviceMs: number): void {
    if (this.#length === this.#arrivedMs.length) this.#grow();
    const place = (this.#head + this.#length) & (this.#arrivedMs.length - 1);
    this.#arrivedMs[place] = arrivedMs;
    this.#serviceMs[place] = serviceMs;
    this.#length += 1;
  }

  /** Puts one in front: it runs again, and has no slot any more. All others lose theirs, too. */
  unshift(arrivedMs: number, serviceMs: number): void {
    if (this.#length === this.#arrivedMs.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#arrivedMs.length - 1);
    this.#arrivedMs[this.#head] = arrivedMs;
    this.#serviceMs[this.#head] = serviceMs;
    this.#length += 1;
    this.#slotted = 0;
  }

  /** Gives the first input without a slot one; gives when it came, or NaN when all have one. */
  giveSlot(nowMs: number): number {
    if (this.unslotted === 0) return NaN;
    const place = (this.#head + this.#slotted) & (this.#arrivedMs.length - 1);
    this.#slotMs[place] = nowMs;
    this.#slotted += 1;
    return this.#arrivedMs[place] ?? 0;
  }

  /** Takes the first out. */
  shift(): void {
    this.#head = (this.#head + 1) & (this.#arrivedMs.length - 1);
    this.#length -= 1;
    if (this.#slotted > 0) this.#slotted -= 1;
  }

  /** When each came, first one first; for the end of a run. */
  *arrivals(): Iterable<number> {
    for (let index = 0; index < this.#length; index += 1) {
      yield this.#arrivedMs[(this.#head + index) & (this.#arrivedMs.length - 1)] ?? 0;
    }
  }

  /** What it holds, by reference. */
  save(): InputQueueState {
    return {
      arrivedMs: this.#arrivedMs,
      serviceMs: this.#serviceMs,
      slotMs: this.#slotMs,
      head: this.#head,
      length: this.#length,
      slotted: this.#slotted,
    };
  }

  /** Takes the place of what it holds. */
  resume({ arrivedMs, serviceMs, slotMs, head, length, slotted }: InputQueueState): void {
    this.#arrivedMs = arrivedMs;
    this.#serviceMs = serviceMs;
    this.#slotMs = slotMs;
    this.#head = head;
    this.#length = length;
    this.#slotted = slotted;
  }

  #grow(): void {
    const size = this.#arrivedMs.length;
    const [arrived, service, slot] = [0, 1, 2].map(() => new Float64Array(2 * size));
    if (arrived === undefined || service === undefined || slot === undefined) return;
    for (let index = 0; index < this.#length; index += 1) {
      const place = (this.#head + index) & (size - 1);
      arrived[index] = this.#arrivedMs[place] ?? 0;
      service[index] = this.#serviceMs[place] ?? 0;
      slot[index] = this.#slotMs[place] ?? 0;
    }
    this.#arrivedMs = arrived;
    this.#serviceMs = service;
    this.#slotMs = slot;
    this.#head = 0;
  }
}
