/**
 * The live end of the stream: one blocking read shared by all readers of this process.
 *
 * It runs while somebody listens. A listener gets every batch that comes after the position
 * it was given, in order and without a gap. A loss of Redis pauses the tail; it goes on from
 * where it was.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../core/index.ts";
import { decodeEvent } from "./event-codec.ts";
import { SharedEvent } from "./shared-event.ts";
import { OLDEST_ID } from "./stream-id.ts";

/** One entry, the same object for every listener. */
export interface StreamEntry {
  readonly id: string;
  /** What it says; undefined when it is no event. Read when first asked for. */
  readonly shared: SharedEvent | undefined;
}

const BLOCK_MS = 5_000;
/** A blocking read without an answer for this long sits on a dead connection. */
export const BLOCKED_READ_TIMEOUT_MS = 2 * BLOCK_MS;
const BATCH_ENTRIES_MAX = 1_000;
const RETRY_MS = 250;
/**
 * After each batch the tail lets entries gather, longer the more listen, so that what comes line
 * by line costs many readers few writes. One reader waits for nothing.
 */
const GATHER_MS_PER_LISTENER = 0.2;
const GATHER_MS_MAX = 40;

export interface StreamTailOptions {
  /** Used for nothing else: it blocks. */
  readonly redis: Redis;
  readonly streamKey: string;
  readonly clock: Pick<Clock, "sleep">;
  readonly onError: (error: Error) => void;
}

type Listener = (entries: readonly StreamEntry[]) => void;

export class StreamTail {
  readonly #options: StreamTailOptions;
  readonly #listeners = new Set<Listener>();
  readonly #closing = new AbortController();
  #position: Promise<string | undefined> = Promise.resolve(undefined);
  #running: Promise<void> | undefined;

  constructor(options: StreamTailOptions) {
    this.#options = options;
  }

  /**
   * Hands batches to `listener` until `signal` aborts.
   *
   * @returns The id after which it gets everything; undefined when the tail was closed.
   */
  async listen(listener: Listener, signal: AbortSignal): Promise<string | undefined> {
    if (signal.aborted || this.#isClosing()) return undefined;
    this.#listeners.add(listener);
    signal.addEventListener("abort", () => this.#listeners.delete(listener), { once: true });
    this.#running ??= this.#run();
    return this.#position;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#listeners.clear();
    this.#options.redis.disconnect();
    await this.#running;
  }

  async #run(): Promise<void> {
    this.#position = this.#untilAnswered(() => this.#findEnd());
    let position = await this.#position;
    while (position !== undefined && this.#listeners.size > 0) {
      const from: string = position;
      const entries = await this.#untilAnswered(() => this.#readAfter(from));
      if (entries === undefined) break;
      position = entries.at(-1)?.id ?? from;
      this.#position = Promise.resolve(position);
      if (entries.length === 0) continue;
      for (const listener of [...this.#listeners]) listener(entries);
      await this.#gather();
    }
    this.#running = undefined;
  }

  async #gather(): Promise<void> {
    const durationMs = Math.floor(this.#listeners.size * GATHER_MS_PER_LISTENER);
    if (durationMs === 0) return;
    await this.#options.clock.sleep(Math.min(GATHER_MS_MAX, durationMs), this.#closing.signal);
  }

  /** Tries until Redis answers; undefined when the tail closes first. */
  async #untilAnswered<Answer>(ask: () => Promise<Answer>): Promise<Answer | undefined> {
    while (!this.#isClosing()) {
      try {
        return await ask();
      } catch (error) {
        if (this.#isClosing()) break;
        if (error instanceof Error) this.#options.onError(error);
        // Ready and yet no answer: the connection is dead without knowing it.
        if (this.#options.redis.status === "ready") this.#options.redis.disconnect(true);
        await this.#options.clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
    return undefined;
  }

  async #findEnd(): Promise<string> {
    const { redis, streamKey } = this.#options;
    const [last] = await redis.xrevrange(streamKey, "+", "-", "COUNT", 1);
    return last?.[0] ?? OLDEST_ID;
  }

  async #readAfter(position: string): Promise<readonly StreamEntry[]> {
    const { redis, streamKey } = this.#options;
    const reply = await redis.xread(
      ...(["COUNT", BATCH_ENTRIES_MAX, "BLOCK", BLOCK_MS] as const),
      "STREAMS",
      streamKey,
      position,
    );
    return entriesOf(reply?.[0]?.[1] ?? []);
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }
}

/** Redis' form of entries (id, then names and values in turn) in ours. */
export function entriesOf(
  reply: readonly (readonly [string, readonly string[]])[],
): readonly StreamEntry[] {
  return reply.map(([id, [, text = ""]]) => new LazyEntry(id, text));
}

class LazyEntry implements StreamEntry {
  readonly id: string;
  readonly #text: string;
  #read: { readonly shared: SharedEvent | undefined } | undefined;

  constructor(id: string, text: string) {
    this.id = id;
    this.#text = text;
  }

  get shared(): SharedEvent | undefined {
    this.#read ??= { shared: sharedEventOf(this.id, this.#text) };
    return this.#read.shared;
  }
}

function sharedEventOf(id: string, text: string): SharedEvent | undefined {
  const event = decodeEvent(id, text);
  return event === undefined ? undefined : new SharedEvent(event);
}
