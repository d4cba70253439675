/**
 * What happens next: a binary heap of instants, each with a whole number that says what.
 *
 * Equal instants come out in the order they went in, so a run does not depend on the heap's
 * shape. Two flat lists and no objects: millions of events a second pass through it.
 */
/** A queue that was written down. Plain data. */
export interface EventQueueState {
  readonly atMs: Float64Array<ArrayBuffer>;
  readonly payload: Int32Array<ArrayBuffer>;
  readonly entry: Float64Array<ArrayBuffer>;
  readonly size: number;
  readonly entered: number;
}

export class EventQueue {
  #atMs = new Float64Array(1_024);
  #payload = new Int32Array(1_024);
  /** Order of entry, to break ties. */
  #entry = new Float64Array(1_024);
  #size = 0;
  #entered = 0;

  get size(): number {
    return this.#size;
  }

  /** When the next event is; `Infinity` when there is none. */
  get nextMs(): number {
    return this.#size === 0 ? Infinity : (this.#atMs[0] ?? Infinity);
  }

  /** O(log n). @param payload a whole number that fits 32 bits. */
  push(atMs: number, payload: number): void {
    if (this.#size === this.#atMs.length) this.#grow();
    const entry = this.#entered;
    this.#entered += 1;
    let hole = this.#size;
    this.#size += 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#isAfter(parent, atMs, entry)) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#put(hole, atMs, payload, entry);
  }

  /** Takes the next event out and gives its payload; there must be one. O(log n). */
  pop(): number {
    const payload = this.#payload[0] ?? -1;
    this.#size -= 1;
    const last = this.#size;
    const atMs = this.#atMs[last] ?? 0;
    const entry = this.#entry[last] ?? 0;
    const lastPayload = this.#payload[last] ?? 0;
    let hole = 0;
    for (let child = 1; child < last; child = 2 * hole + 1) {
      const right = child + 1;
      if (right < last && this.#isAfter(child, this.#atMs[right] ?? 0, this.#entry[right] ?? 0)) {
        child = right;
      }
      if (this.#isAfter(child, atMs, entry)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#put(hole, atMs, lastPayload, entry);
    return payload;
  }

  /** What it holds, by reference. */
  save(): EventQueueState {
    return {
      atMs: this.#atMs,
      payload: this.#payload,
      entry: this.#entry,
      size: this.#size,
      entered: this.#entered,
    };
  }

  /** Takes the place of what it holds. */
  resume({ atMs, payload, entry, size, entered }: EventQueueState): void {
    this.#atMs = atMs;
    this.#payload = payload;
    this.#entry = entry;
    this.#size = size;
    this.#entered = entered;
  }

  #isAfter(place: number, atMs: number, entry: number): boolean {
    const own = this.#atMs[place] ?? 0;
    return own > atMs || (own === atMs && (this.#entry[place] ?? 0) > entry);
  }

  #move(from: number, to: number): void {
    this.#atMs[to] = this.#atMs[from] ?? 0;
    this.#payload[to] = this.#payload[from] ?? 0;
    this.#entry[to] = this.#entry[from] ?? 0;
  }

  #put(place: number, atMs: number, payload: number, entry: number): void {
    this.#atMs[place] = atMs;
    this.#payload[place] = payload;
    this.#entry[place] = entry;
  }

  #grow(): void {
    const length = 2 * this.#atMs.length;
    const atMs = new Float64Array(length);
    const payload = new Int32Array(length);
    const entry = new Float64Array(length);
    atMs.set(this.#atMs);
    payload.set(this.#payload);
    entry.set(this.#entry);
    this.#atMs = atMs;
    this.#payload = payload;
    this.#entry = entry;
  }
}
