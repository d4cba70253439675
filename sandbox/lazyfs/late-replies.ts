/**
 * Answers reads whose chunks had to be fetched: with their bytes, or with EIO when they have
 * not come by the deadline. A reader never waits for longer.
 */
import { write } from "node:fs";
import { PlatformError, type Clock } from "../../core/index.ts";
import type { ImageIndex } from "../store/index.ts";
import type { MissedRead } from "./answer-loop.ts";
import type { ChunkFetcher } from "./chunk-fetcher.ts";
import { ERRNO, READ_BYTES_MAX, REPLY_HEADER_BYTES, writeReplyHeader } from "./fuse-protocol.ts";
import { copyRead, piecesOf, readOf, type FilePiece, type FileRead } from "./read-file.ts";

export interface LateRepliesOptions {
  readonly index: ImageIndex;
  readonly fetcher: Pick<ChunkFetcher, "demand">;
  readonly clock: Clock;
  /** Longest that a reader waits. */
  readonly deadlineMs: number;
  /** Sends a reply to the kernel. */
  readonly send: (reply: Buffer) => void;
  /** Told why a reader got EIO. */
  readonly onError: (error: unknown, doing: string) => void;
}

/** First pause before a chunk is asked for again; twice as long each time, up to a second. */
const RETRY_MS = 50;
const RETRY_MS_MAX = 1_000;

export class LateReplies {
  readonly #options: LateRepliesOptions;

  constructor(options: LateRepliesOptions) {
    this.#options = options;
  }

  /** Answers one read; resolves when it has. Never rejects. */
  async answer(missed: MissedRead): Promise<void> {
    const { index, clock, deadlineMs, send, onError } = this.#options;
    const { uniqueLow, uniqueHigh, inode, offset } = missed;
    const read = readOf(index, inode, offset, Math.min(missed.byteCount, READ_BYTES_MAX));
    const over = new AbortController();
    try {
      const late = clock.sleep(deadlineMs, over.signal).then(() => undefined);
      const bytes = await Promise.race([late, this.#bytesOf(read, over.signal)]);
      if (bytes === undefined) throw overdue(deadlineMs);
      const reply = Buffer.allocUnsafe(REPLY_HEADER_BYTES + read.byteCount);
      const isWhole = copyRead(index, read, (chunk) => bytes.get(chunk), reply, REPLY_HEADER_BYTES);
      if (!isWhole) throw new Error("a read has a chunk that it did not ask for");
      writeReplyHeader(reply, reply.byteLength, 0, uniqueLow, uniqueHigh);
      send(reply);
    } catch (error) {
      const reply = Buffer.allocUnsafe(REPLY_HEADER_BYTES);
      writeReplyHeader(reply, REPLY_HEADER_BYTES, ERRNO.EIO, uniqueLow, uniqueHigh);
      send(reply);
      onError(error, `reading inode ${inode} of an image`);
    } finally {
      over.abort();
    }
  }

  async #bytesOf(read: FileRead, signal: AbortSignal): Promise<ReadonlyMap<number, Uint8Array>> {
    const found = piecesOf(this.#options.index, read).map(async (piece) => {
      return [piece.chunk, await this.#read(piece, signal)] as const;
    });
    return new Map(await Promise.all(found));
  }

  /** Asks for a chunk until it comes, or is known to be nowhere. */
  async #read(waited: FilePiece, signal: AbortSignal): Promise<Uint8Array> {
    const { index, fetcher, clock } = this.#options;
    const { chunk } = waited;
    for (let pauseMs = RETRY_MS; ; pauseMs = Math.min(RETRY_MS_MAX, pauseMs * 2)) {
      try {
        const bytes = await fetcher.demand(waited);
        if (bytes.byteLength === index.chunkBytes(chunk)) return bytes;
        throw wrongLength(index.chunkId(chunk));
      } catch (error) {
        const mayCome = error instanceof PlatformError && error.retryable;
        if (!mayCome || signal.aborted) throw error;
        await clock.sleep(pauseMs, signal);
      }
    }
  }
}

/** Sends replies to the kernel through its descriptor, without waiting. */
export function replySender(fd: number): (reply: Buffer) => void {
  return (reply) => {
    // An error means that nobody waits for this answer any more.
    write(fd, reply, () => undefined);
  };
}

function overdue(deadlineMs: number): PlatformError {
  return new PlatformError(`the store gave no answer within ${deadlineMs} ms`, {
    code: "timed_out",
    retryable: true,
  });
}

function wrongLength(id: string): PlatformError {
  return new PlatformError(`chunk ${id} is not as long as the image says`, {
    code: "invalid_request",
    retryable: false,
    details: { chunkId: id },
  });
}
