/**
 * One reader of the stream: catches up from an id, then follows the live tail.
 *
 * Live entries wait in a bounded buffer. A reader that is too slow for it loses the buffer,
 * not its place: it reads the stream again from the last id it gave. So a slow reader costs
 * bounded memory and misses only what the capped stream itself has dropped.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../core/index.ts";
import { isAfter } from "./stream-id.ts";
import { entriesOf, type StreamEntry, type StreamTail } from "./stream-tail.ts";

const BUFFERED_ENTRIES_MAX = 2_000;
const CATCH_UP_ENTRIES = 500;
const RETRY_MS = 250;

export interface StreamReaderOptions {
  readonly tail: StreamTail;
  /** For catching up; shared, does not block. */
  readonly redis: Redis;
  readonly streamKey: string;
  readonly clock: Pick<Clock, "sleep">;
}

/** Batches of entries after `after` (from now on without it), in order, until `signal` aborts. */
export async function* readStream(
  options: StreamReaderOptions,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly StreamEntry[], void, void> {
  // A listener of its own, so that leaving the loop stops it even when `signal` never aborts.
  const stop = new AbortController();
  const inbox = new Inbox(AbortSignal.any([signal, stop.signal]));
  try {
    const tailId = await options.tail.listen((entries) => inbox.put(entries), inbox.signal);
    if (tailId === undefined) return;
    if (after !== undefined) inbox.markBehind();
    let lastId = after ?? tailId;
    while (!inbox.signal.aborted) {
      const fresh = inbox.isBehind
        ? await catchUp(options, lastId, inbox)
        : (await inbox.take()).filter(({ id }) => isAfter(id, lastId));
      lastId = fresh.at(-1)?.id ?? lastId;
      if (fresh.length > 0) yield fresh;
    }
  } finally {
    stop.abort();
  }
}

/**
 * The next entries of the stream. The inbox is emptied before asking, so whatever the answer
 * does not hold arrives there; a full answer means that there may be more.
 */
async function catchUp(
  options: StreamReaderOptions,
  lastId: string,
  inbox: Inbox,
): Promise<readonly StreamEntry[]> {
  inbox.clear();
  try {
    const { redis, streamKey } = options;
    const reply = await redis.xrange(streamKey, `(${lastId}`, "+", "COUNT", CATCH_UP_ENTRIES);
    if (reply.length === CATCH_UP_ENTRIES) inbox.markBehind();
    return entriesOf(reply);
  } catch {
    // Redis is away; its connection reports that. The place in the stream is kept.
    inbox.markBehind();
    await options.clock.sleep(RETRY_MS, inbox.signal);
    return [];
  }
}

/** Live entries not yet taken; bounded. */
class Inbox {
  readonly signal: AbortSignal;
  #entries: StreamEntry[] = [];
  #isBehind = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
    signal.addEventListener("abort", () => this.#wake?.(), { once: true });
  }

  /** Entries were dropped: the stream must be read again. */
  get isBehind(): boolean {
    return this.#isBehind;
  }

  markBehind(): void {
    this.#entries = [];
    this.#isBehind = true;
    this.#wake?.();
  }

  clear(): void {
    this.#entries = [];
    this.#isBehind = false;
  }

  put(entries: readonly StreamEntry[]): void {
    if (this.#isBehind) return;
    if (this.#entries.length + entries.length > BUFFERED_ENTRIES_MAX) {
      this.markBehind();
    } else {
      this.#entries.push(...entries);
      this.#wake?.();
    }
  }

  /** What has arrived, as soon as anything has; empty when aborted or fallen behind. */
  async take(): Promise<readonly StreamEntry[]> {
    if (this.#entries.length === 0 && !this.#isBehind && !this.signal.aborted) {
      await new Promise<void>((wake) => (this.#wake = wake));
      this.#wake = undefined;
    }
    const taken = this.#entries;
    this.#entries = [];
    return taken;
  }
}
