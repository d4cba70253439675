/** The shelf behind the real HTTP server, and agents' ends of it. */
import { mkdtemp, readdir, rm, writeFile, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { chunkIdOf, encodeChunk, manifestOf, openDiskTier } from "../../sandbox/index.ts";
import type { ChunkStore, SnapshotRecord } from "../../sandbox/index.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { SnapshotShelf } from "./snapshot-shelf.ts";

const SNAPSHOT = "ab".repeat(32);
const PIECE = Buffer.alloc(1_000, "page");
const PIECE_ID = chunkIdOf(PIECE);
const record = (key: string, chunkIds: readonly string[] = [PIECE_ID]): SnapshotRecord => ({
  key: key.repeat(64),
  snapshotId: SNAPSHOT,
  madeAtMs: 1,
  files: [{ name: "checkpoint.img", byteCount: 65_536 * chunkIds.length, chunkIds }],
});

let dir: string;
let notes: ChunkStore;
let chunks: ChunkStore;
let running: Set<string>;
let isShared: boolean;
let nowMs: number;
let shelf: SnapshotShelf;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-shelf-"));
  notes = await openDiskTier({ dir: join(dir, "notes") });
  chunks = await openDiskTier({ dir: join(dir, "chunks") });
  [running, isShared, nowMs] = [new Set(["no_1", "no_2"]), true, Date.now()];
  shelf = new SnapshotShelf({
    notes,
    chunks,
    records: openRecordStore(":memory:").chunkRecords("memory-chunks"),
    clock: { nowMs: () => nowMs, sleep: () => Promise.resolve() },
    runs: (nodeId, snapshotId) => running.has(nodeId) && snapshotId === SNAPSHOT,
    isShared: () => isShared,
  });
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

/** Shares a snapshot of one chunk. */
async function share(key: string): Promise<SnapshotRecord> {
  await shelf.putChunk(PIECE_ID, await encodeChunk(PIECE));
  const one = record(key);
  expect(await shelf.offer("no_1", SNAPSHOT, manifestOf(one))).toEqual({
    wanted: true,
    missing: [],
  });
  return one;
}

describe("sharing", () => {
  test("a snapshot is shared once all its chunks are there, and found by another node", async () => {
    const one = record("1");
    const offer = () => shelf.offer("no_1", SNAPSHOT, manifestOf(one));
    expect(await offer()).toEqual({ wanted: true, missing: [PIECE_ID] });
    expect(await shelf.find("no_2", SNAPSHOT, one.key)).toBeUndefined();
    await shelf.putChunk(PIECE_ID, await encodeChunk(PIECE));
    expect(await offer()).toEqual({ wanted: true, missing: [] });
    const note = await shelf.find("no_2", SNAPSHOT, one.key);
    expect(JSON.parse(Buffer.from(note ?? []).toString())).toEqual(one);
    expect(await shelf.chunk(PIECE_ID)).toEqual(Buffer.from(await encodeChunk(PIECE)));
  });

  test("nothing is sent while no other node could use it", async () => {
    isShared = false;
    expect(await shelf.offer("no_1", SNAPSHOT, manifestOf(record("1")))).toEqual({
      wanted: false,
      missing: [],
    });
    expect(await readdir(join(dir, "notes"))).toEqual([]);
  });

  test("one that is rejected is given to nobody any more", async () => {
    const one = await share("1");
    await shelf.reject("no_2", SNAPSHOT, one.key);
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeUndefined();
  });
});

describe("walls", () => {
  test("a node without a container of the function gets, gives and rejects nothing", async () => {
    const one = await share("1");
    running.delete("no_2");
    const tries = [
      shelf.find("no_2", SNAPSHOT, one.key),
      shelf.offer("no_2", SNAPSHOT, manifestOf(one)),
      shelf.reject("no_2", SNAPSHOT, one.key),
      shelf.find("no_1", "cd".repeat(32), one.key),
    ];
    for (const one_ of tries) await expect(one_).rejects.toMatchObject({ code: "not_found" });
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeDefined();
  });

  test("a note of another function is not given under this one's name, nor taken", async () => {
    const one = record("1");
    await notes.put(one.key, manifestOf({ ...one, snapshotId: "ef".repeat(32) }));
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeUndefined();
    for (const bytes of [manifestOf({ ...one, snapshotId: "ef".repeat(32) }), Buffer.from("{}")]) {
      await expect(shelf.offer("no_1", SNAPSHOT, bytes)).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
  });

  test("a node cannot put its own function's memory in the place of another's", async () => {
    const one = record("1");
    const theirs = manifestOf({ ...one, snapshotId: "ef".repeat(32) });
    await notes.put(one.key, theirs);
    await expect(shelf.offer("no_1", SNAPSHOT, manifestOf(one))).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect(await notes.get(one.key)).toEqual(theirs);
  });

  test("bytes that are not what their name says are not taken", async () => {
    const encoded = await encodeChunk(Buffer.from("evil"));
    await expect(shelf.putChunk(PIECE_ID, encoded)).rejects.toMatchObject({
      code: "invalid_request",
    });
    expect(await shelf.chunk(PIECE_ID)).toBeUndefined();
  });
});

describe("collecting", () => {
  test("chunks that no snapshot needs go, those of versions that share them stay", async () => {
    const one = await share("1");
    const other = Buffer.alloc(2_000, "other");
    await shelf.putChunk(chunkIdOf(other), await encodeChunk(other));
    const both = record("2", [PIECE_ID, chunkIdOf(other)]);
    await shelf.offer("no_1", SNAPSHOT, manifestOf(both));
    await shelf.reject("no_1", SNAPSHOT, both.key);
    await shelf.collect();
    expect(await shelf.chunk(chunkIdOf(other))).toBeUndefined();
    expect(await shelf.chunk(PIECE_ID)).toBeDefined();
    await shelf.reject("no_1", SNAPSHOT, one.key);
    await shelf.collect();
    expect(await shelf.chunk(PIECE_ID)).toBeUndefined();
  });

  test("a snapshot goes after a week, with its chunks", async () => {
    const one = await share("1");
    await shelf.collect();
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeDefined();
    nowMs += 8 * 24 * 3_600_000;
    await shelf.collect();
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeUndefined();
    expect(await shelf.chunk(PIECE_ID)).toBeUndefined();
  });

  test("a note that was damaged on the disk holds nothing, and harms no other", async () => {
    const one = await share("1");
    const path = join(dir, "notes", one.key.slice(0, 2), one.key);
    await writeFile(path, (await readFile(path)).subarray(0, 50));
    expect(await shelf.find("no_1", SNAPSHOT, one.key)).toBeUndefined();
    await shelf.collect();
    expect(await shelf.chunk(PIECE_ID)).toBeUndefined();
  });
});
