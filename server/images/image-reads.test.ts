import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  accessListBytes,
  ACCESS_LIST_BYTES_MAX,
  createMemoryTier,
  ingestTree,
} from "../../sandbox/index.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import type { RecordStore } from "../store/record-store.ts";
import { ImageReads } from "./image-reads.ts";

const CHUNKS = 3;
let dir: string;
let store: RecordStore;
let contentId: string;
let on: Record<string, readonly string[]>;
let reads: ImageReads;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-reads-"));
  const chunks = createMemoryTier({ byteCountMax: 1e9, nowMs: () => 1 });
  for (let piece = 0; piece < CHUNKS; piece += 1) {
    await writeFile(join(dir, `piece-${piece}`), Buffer.alloc(262_144, piece + 1));
  }
  ({ imageId: contentId } = await ingestTree(dir, chunks));
  store = openRecordStore(":memory:");
  for (const workspaceId of ["main", "other"]) {
    await store.images.put({
      ...{ imageId: "im_1", workspaceId, contentId, steps: [], layerKeys: [], env: {} },
      ...{ workdir: "/", byteCount: 1, createdAtMs: 1, usedAtMs: 1 },
    });
  }
  on = { no_1: ["main"], no_2: ["main"], no_3: ["other"] };
  reads = new ImageReads({
    images: store.images,
    chunks,
    workspacesOn: (nodeId, id) => (id === contentId ? (on[nodeId] ?? []) : []),
  });
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true });
});

test("what one node tells another is given, and the newest list is kept", async () => {
  expect(await reads.find("no_2", contentId)).toBeUndefined();
  await reads.learn("no_1", contentId, accessListBytes([2, 0]));
  expect(await reads.find("no_2", contentId)).toEqual(new Uint8Array(accessListBytes([2, 0])));
  await reads.learn("no_2", contentId, accessListBytes([1, 2, 0]));
  expect(await reads.find("no_1", contentId)).toEqual(new Uint8Array(accessListBytes([1, 2, 0])));
});

test("another workspace's image with the same files has a list of its own", async () => {
  await reads.learn("no_1", contentId, accessListBytes([2]));
  expect(await reads.find("no_3", contentId)).toBeUndefined();
  await reads.learn("no_3", contentId, accessListBytes([0]));
  expect(await reads.find("no_1", contentId)).toEqual(new Uint8Array(accessListBytes([2])));
  on["no_1"] = ["other", "main"];
  await reads.learn("no_1", contentId, accessListBytes([1]));
  expect(await reads.find("no_3", contentId)).toEqual(new Uint8Array(accessListBytes([1])));
  expect(await reads.find("no_2", contentId)).toEqual(new Uint8Array(accessListBytes([1])));
});

test("a node that has nothing to do with an image is told nothing, and changes nothing", async () => {
  const refused = { code: "not_found" };
  await reads.learn("no_1", contentId, accessListBytes([2]));
  for (const [nodeId, id] of [
    ["no_9", contentId],
    ["no_1", "0".repeat(64)],
  ] as const) {
    await expect(reads.find(nodeId, id)).rejects.toMatchObject(refused);
    await expect(reads.learn(nodeId, id, accessListBytes([0]))).rejects.toMatchObject(refused);
  }
  on["no_1"] = [];
  await expect(reads.find("no_1", contentId)).rejects.toMatchObject(refused);
  expect(await reads.find("no_2", contentId)).toEqual(new Uint8Array(accessListBytes([2])));
});

describe("a bad list is refused with the reason, and the good one stays:", () => {
  const tooLong = Array.from({ length: ACCESS_LIST_BYTES_MAX / 4 + 1 }, (_, at) => at);
  test.each<[string, () => Uint8Array, string]>([
    ["nothing", () => new Uint8Array(0), "is empty"],
    ["too much", () => accessListBytes(tooLong), "at most 16384"],
    ["a piece of a number", () => Uint8Array.of(0, 0, 0, 0, 1), "cut off"],
    ["a chunk twice", () => accessListBytes([1, 0, 1]), "twice"],
    ["a chunk that it has not", () => accessListBytes([0, 1_000]), "names chunk 1000"],
    ["the mark of a hole", () => accessListBytes([0xff_ff_ff_ff]), "names chunk 4294967295"],
  ])("%s", async (_, list, reason) => {
    await reads.learn("no_1", contentId, accessListBytes([2]));
    const told = reads.learn("no_1", contentId, list());
    await expect(told).rejects.toMatchObject({ code: "invalid_request" });
    await expect(told).rejects.toThrow(reason);
    expect(await reads.find("no_2", contentId)).toEqual(new Uint8Array(accessListBytes([2])));
  });
});

test("a list of an image whose files are gone is refused", async () => {
  const gone = new ImageReads({
    images: store.images,
    chunks: createMemoryTier({ byteCountMax: 1e9, nowMs: () => 1 }),
    workspacesOn: () => ["main"],
  });
  const told = gone.learn("no_1", contentId, accessListBytes([0]));
  await expect(told).rejects.toMatchObject({ code: "not_found" });
});
