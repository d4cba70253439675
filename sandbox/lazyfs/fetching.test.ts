import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { PlatformError } from "../../core/index.ts";
import { ManualClock } from "../fake/clock.ts";
import { createChunkSource, type ChunkStore, type ImageIndex } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { createMemoryTier } from "../store/memory-tier.ts";
import { mergedList } from "./access-lists.ts";
import { AccessTrace } from "./access-trace.ts";
import { ChunkFetcher } from "./chunk-fetcher.ts";
import { ERRNO, REPLY_HEADER_BYTES } from "./fuse-protocol.ts";
import { LateReplies } from "./late-replies.ts";
import type { FilePiece } from "./read-file.ts";

const PIECES = 40;
const PIECE = 256 * 1_024;
let index: ImageIndex;
let far: ChunkStore;
let local: ChunkStore;
let asked: number[];
let fetcher: ChunkFetcher;
let trace: AccessTrace;

beforeEach(async () => {
  far = createMemoryTier({ nowMs: () => 0 });
  local = createMemoryTier({ nowMs: () => 0 });
  const tree = mkdtempSync(join(tmpdir(), "flotilla-fetch-"));
  const content = Buffer.alloc(PIECES * PIECE);
  for (let piece = 0; piece < PIECES; piece += 1) content.fill(piece + 1, piece * PIECE);
  writeFileSync(join(tree, "file"), content);
  ({ index } = await ingestTree(tree, far));
  asked = [];
  trace = AccessTrace.of(index.chunkCount);
  fetcher = fetcherOf(far);
});

function fetcherOf(remote: Pick<ChunkStore, "get">): ChunkFetcher {
  const counted = {
    get: (id: string) => {
      asked.push(index.chunkIds().indexOf(id));
      return remote.get(id);
    },
  };
  const source = createChunkSource([local], [counted]);
  return new ChunkFetcher({ index, source, local, remotes: [counted], trace });
}

/** A wait for a piece of the one file; its chunks are numbered as its pieces. */
function waited(chunk: number): FilePiece {
  return { inode: 1, piece: chunk, chunk };
}

/** Until nothing is under way: everything here is in memory. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test("a prefetch list is fetched in its order, without what is there already", async () => {
  await local.put(index.chunkId(7), (await far.get(index.chunkId(7))) ?? new Uint8Array(0));
  await fetcher.prefetch([9, 7, 3, 5, 1_000, -1]);
  await settle();
  expect(asked).toEqual([9, 3, 5]);
  expect((await local.has([9, 3, 5].map((chunk) => index.chunkId(chunk)))).size).toBe(3);
});

test("reading in order fetches ever more ahead, and never a chunk twice", async () => {
  let waits = 0;
  for (let chunk = 0; chunk < PIECES; chunk += 1) {
    const isThere = (await local.has([index.chunkId(chunk)])).size === 1;
    if (!isThere) waits += 1;
    trace.note(chunk);
    if (!isThere) await fetcher.demand(waited(chunk));
    await settle();
  }
  expect(asked).toHaveLength(PIECES);
  expect(new Set(asked).size).toBe(PIECES);
  expect(waits).toBeLessThan(6);
});

test("what is near a piece that was waited for is fetched too, the nearest first", async () => {
  await fetcher.demand(waited(30));
  await settle();
  expect(asked[0]).toBe(30);
  expect(asked.slice(1)).toEqual([31, 29, 32, 28, 33, 27]);
});

test("a chunk that is on its way already is waited for, not fetched twice", async () => {
  await fetcher.prefetch([4]);
  await fetcher.demand(waited(4));
  expect(asked.filter((chunk) => chunk === 4)).toHaveLength(1);
});

test("a chunk that still waits for its turn is not fetched twice when somebody wants it now", async () => {
  const list = Array.from({ length: PIECES }, (_, chunk) => chunk);
  const last = index.chunkId(PIECES - 1);
  fetcher = fetcherOf({
    get: async (id) => {
      // The lanes come to the last chunk while its reader is still waiting for it.
      if (id === last) await settle();
      return far.get(id);
    },
  });
  await fetcher.prefetch(list);
  await Promise.all([...list].reverse().map((chunk) => fetcher.demand(waited(chunk))));
  await settle();
  expect([...asked].sort((one, other) => one - other)).toEqual(list);
});

test("a chunk that could not be fetched ahead is fetched when it is waited for", async () => {
  let isDown = true;
  fetcher = fetcherOf({
    get: (id) => (isDown ? Promise.reject(down()) : far.get(id)),
  });
  await fetcher.prefetch([4]);
  await settle();
  isDown = false;
  expect((await fetcher.demand(waited(4))).byteLength).toBe(PIECE);
});

const down = (): PlatformError =>
  new PlatformError("the store is down", { code: "unavailable", retryable: true });

/** Asks for the first 4 KiB; gives what the kernel was sent. */
function askLate(options: { readonly demand: (piece: FilePiece) => Promise<Uint8Array> }): {
  readonly clock: ManualClock;
  readonly sent: Buffer[];
  readonly done: Promise<void>;
} {
  const clock = new ManualClock();
  const sent: Buffer[] = [];
  const replies = new LateReplies({
    index,
    fetcher: options,
    clock,
    deadlineMs: 10_000,
    send: (reply) => sent.push(Buffer.from(reply)),
    onError: () => undefined,
  });
  const done = replies.answer({
    type: "missed",
    uniqueLow: 7,
    uniqueHigh: 9,
    inode: 1,
    offset: 0,
    byteCount: 4_096,
  });
  return { clock, sent, done };
}

const errorOf = (reply: Buffer | undefined): number => -(reply?.readInt32LE(4) ?? 0);

test("a store that never answers gives its reader EIO at the deadline, and not before", async () => {
  const { clock, sent, done } = askLate({ demand: () => new Promise(() => undefined) });
  await settle();
  clock.advance(9_999);
  await settle();
  expect(sent).toEqual([]);
  clock.advance(1);
  await done;
  expect(sent.map(errorOf)).toEqual([ERRNO.EIO]);
  expect(sent[0]?.readUInt32LE(8)).toBe(7);
  expect(sent[0]?.readUInt32LE(12)).toBe(9);
});

test("a store that comes back before the deadline is asked again", async () => {
  let tries = 0;
  const { clock, sent, done } = askLate({
    demand: (piece) => {
      tries += 1;
      return tries < 4 ? Promise.reject(down()) : fetcher.demand(piece);
    },
  });
  for (let turn = 0; turn < 20 && sent.length === 0; turn += 1) {
    await settle();
    clock.advance(500);
  }
  await done;
  expect(tries).toBe(4);
  expect(sent[0]?.subarray(REPLY_HEADER_BYTES)).toEqual(Buffer.alloc(4_096, 1));
});

test("a chunk that is nowhere gives EIO at once", async () => {
  const { sent, done } = askLate({
    demand: () =>
      Promise.reject(new PlatformError("nowhere", { code: "not_found", retryable: false })),
  });
  await done;
  expect(sent.map(errorOf)).toEqual([ERRNO.EIO]);
});

test("a chunk of another length than the index says gives EIO, not its bytes", async () => {
  const { sent, done } = askLate({ demand: () => Promise.resolve(new Uint8Array(5)) });
  await done;
  expect(sent.map(errorOf)).toEqual([ERRNO.EIO]);
});

test("a trace has each chunk once, in the order of first use, for all threads", () => {
  const trace = AccessTrace.of(10);
  const other = new AccessTrace(trace.words);
  for (const chunk of [3, 1, 3]) trace.note(chunk);
  for (const chunk of [1, 9]) other.note(chunk);
  expect(trace.chunks()).toEqual([3, 1, 9]);
  expect(other.chunks()).toEqual([3, 1, 9]);
  expect(other.chunks(2)).toEqual([9]);
  expect(other.chunks(3)).toEqual([]);
});

test("a list begins with what the last start read, and keeps what others did", () => {
  expect(mergedList([1, 2, 3], [5, 2])).toEqual([5, 2, 1, 3]);
  expect(
    mergedList(
      [],
      Array.from({ length: 5_000 }, (_, chunk) => chunk),
    ),
  ).toHaveLength(4_096);
});
