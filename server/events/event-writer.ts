/**
 * Writes events to the stream in batches, in order, without ever making a publisher wait.
 *
 * While Redis is away the newest events wait in memory up to a bound; older ones are dropped
 * and counted. A batch whose fate is unknown because the connection broke is written again, so
 * around a loss of Redis an event can be in the stream twice.
 */
import type { Redis } from "ioredis";
import type { Clock } from "../../core/index.ts";

/** Entries kept in the stream, about. */
const STREAM_ENTRIES_MAX = 20_000;
const BATCH_ENTRIES_MAX = 512;
const PENDING_ENTRIES_MAX = 10_000;
const PENDING_CHARACTERS_MAX = 16 * 1024 * 1024;
const RETRY_MS = 50;
/** Events wait this long for others, so that a busy moment costs Redis one write. */
const GATHER_MS = 5;

export interface EventWriterOptions {
  readonly redis: Redis;
  readonly streamKey: string;
  readonly clock: Pick<Clock, "sleep">;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  readonly #closing = new AbortController();
  #pending: string[] = [];
  #pendingCharacters = 0;
  #droppedCount = 0;
  #writing: Promise<void> | undefined;
  /** Events taken so far, and those of them that wait no more. */
  #takenCount = 0;
  #settledCount = 0;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(options: EventWriterOptions) {
    this.#options = options;
  }

  /** Events lost so far because Redis was away for too long. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /** Takes an event; it is written with the others of the next `GATHER_MS`. */
  add(text: string): void {
    if (this.#closing.signal.aborted) return;
    this.#takenCount += 1;
    this.#pending.push(text);
    this.#pendingCharacters += text.length;
    this.#dropOldest();
    this.#writing ??= this.#writeAll();
  }

  /** Resolves when every event taken before is in the stream or dropped; never after `close`. */
  written(): Promise<void> {
    if (this.#settledCount === this.#takenCount) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ count: this.#takenCount, resolve }));
  }

  /** Writes what is left if Redis is there, and takes nothing more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writing;
  }

  async #writeAll(): Promise<void> {
    await this.#options.clock.sleep(GATHER_MS, this.#closing.signal);
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, BATCH_ENTRIES_MAX);
      const written = await this.#write(batch);
      this.#settle(written);
      if (written === batch.length) {
        this.#pendingCharacters -= charactersIn(batch);
        continue;
      }
      this.#pending = [...batch.slice(written), ...this.#pending];
      this.#pendingCharacters -= charactersIn(batch.slice(0, written));
      this.#dropOldest();
      if (this.#closing.signal.aborted) break;
      await this.#options.clock.sleep(RETRY_MS, this.#closing.signal);
    }
    this.#writing = undefined;
  }

  /** Gives how many of the batch are surely in the stream, counted from its start. */
  async #write(batch: readonly string[]): Promise<number> {
    const { redis, streamKey } = this.#options;
    if (redis.status !== "ready") return 0;
    const pipeline = redis.pipeline();
    for (const text of batch) {
      pipeline.xadd(streamKey, "MAXLEN", "~", STREAM_ENTRIES_MAX, "*", "e", text);
    }
    const replies = await pipeline.exec().catch(() => null);
    const failedAt = replies?.findIndex(([error]) => error !== null) ?? 0;
    return failedAt === -1 ? batch.length : failedAt;
  }

  #settle(count: number): void {
    this.#settledCount += count;
    const isDone = (one: { readonly count: number }): boolean => one.count <= this.#settledCount;
    // In the order in which they began to wait, so in that of their counts.
    while (this.#waiting[0] !== undefined && isDone(this.#waiting[0])) {
      this.#waiting.shift()?.resolve();
    }
  }

  #dropOldest(): void {
    let count = Math.max(0, this.#pending.length - PENDING_ENTRIES_MAX);
    let characters = this.#pendingCharacters - charactersIn(this.#pending.slice(0, count));
    while (characters > PENDING_CHARACTERS_MAX && count < this.#pending.length) {
      characters -= this.#pending[count]?.length ?? 0;
      count += 1;
    }
    if (count === 0) return;
    this.#pending.splice(0, count);
    this.#pendingCharacters = characters;
    this.#droppedCount += count;
    this.#settle(count);
  }
}

function charactersIn(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}
