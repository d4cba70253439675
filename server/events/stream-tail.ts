/**
 * The live end of the stream: one blocking read shared by all readers of this process.
 *
 * It runs while somebody listens. A listener gets every batch that comes after the position
 * it was given, in order and without a gap. A loss of Redis pauses the tail; it goes on from
 * where it was.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../core/index.ts";
import { OLDEST_ID } from "./stream-id.ts";

/** One entry: its id, and the text of its one field. */
export interface StreamEntry {
  readonly id: string;
  readonly text: string;
}

const BLOCK_MS = 5_000;
/** A blocking read without an answer for this long sits on a dead connection. */
export const BLOCKED_READ_TIMEOUT_MS = 2 * BLOCK_MS;
const BATCH_ENTRIES_MAX = 1_000;
const RETRY_MS = 250;

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
      if (entries.length > 0) for (const listener of [...this.#listeners]) listener(entries);
    }
    this.#running = undefined;
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
  return reply.map(([id, [, text = ""]]) => ({ id, text }));
}
