/**
 * Two nodes with folders of their own, each with its real serving process and mounts, on the real
 * HTTP server: what starts on one have read is fetched ahead on the other.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canMount } from "../sandbox/lazyfs/fuse-mount.ts";
import { ImageMounts } from "../sandbox/lazyfs/image-mounts.ts";
import { openDiskTier, type DiskTier, type ImageIndex } from "../sandbox/store/index.ts";
import { ingestTree } from "../sandbox/store/ingest-tree.ts";
import { systemClock } from "../sandbox/system-clock.ts";
import { createToken } from "../server/auth/tokens.ts";
import { createFakePlatform } from "../server/http/fake-services.ts";
import { buildHttpServer } from "../server/http/server.ts";
import { createIdSource } from "../server/ids.ts";
import { ImageReads } from "../server/images/image-reads.ts";
import { openRecordStore } from "../server/store/sqlite/open.ts";
import type { RecordStore } from "../server/store/record-store.ts";

const PIECE = 256 * 1_024;
const PIECES = 8;
let dir: string;
let store: DiskTier;
let imageId: string;
let index: ImageIndex;
let records: RecordStore;
let server: ReturnType<typeof buildHttpServer>;
let serverUrl: string;
let tokens: Readonly<Record<string, string>>;
let runs: Set<string>;
/** Chunks that nodes asked for, in order. */
let asked: string[];
let errors: string[];
let open: ImageMounts[];

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-reads-"));
  const tree = join(dir, "tree");
  mkdirSync(tree);
  for (let piece = 0; piece < PIECES; piece += 1) {
    writeFileSync(join(tree, `piece-${piece}`), Buffer.alloc(PIECE, piece + 1));
  }
  store = await openDiskTier({ dir: join(dir, "store") });
  ({ imageId, index } = await ingestTree(tree, store));
  records = openRecordStore(":memory:");
  await records.images.put({
    ...{ imageId: "im_1", workspaceId: "main", contentId: imageId, steps: [], layerKeys: [] },
    ...{ env: {}, workdir: "/", byteCount: 1, createdAtMs: 1, usedAtMs: 1 },
  });
  [runs, asked, errors, open] = [new Set(["no_a", "no_b"]), [], [], []];
  await serve();
});

afterEach(async () => {
  for (const mounts of open) await mounts.close();
  await server.close();
  await records.close();
  rmSync(dir, { recursive: true });
});

async function serve(): Promise<void> {
  const { options } = await createFakePlatform();
  const imageReads = new ImageReads({
    images: records.images,
    chunks: store,
    workspacesOn: (nodeId, id) => (runs.has(nodeId) && id === imageId ? ["main"] : []),
  });
  const get = (id: string): Promise<Uint8Array | undefined> => {
    asked.push(id);
    return store.get(id);
  };
  server = buildHttpServer({
    ...options,
    services: { ...options.services, imageReads, chunks: { get } },
  });
  const ids = createIdSource(systemClock);
  const tokenOf = async (nodeId: string): Promise<string> => {
    const sent = { kind: "agent", workspaceId: "main", name: nodeId, nodeId } as const;
    return (await createToken(options.store.tokens, sent, { clock: systemClock, ids })).token;
  };
  tokens = { no_a: await tokenOf("no_a"), no_b: await tokenOf("no_b") };
  await server.listen({ host: "127.0.0.1", port: 0 });
  serverUrl = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
}

/** The images of one node. */
function nodeOf(nodeId: string): ImageMounts {
  const own = join(dir, nodeId);
  const mounts = new ImageMounts({
    dir: join(own, "images"),
    serving: {
      cacheDir: join(own, "chunks"),
      cacheBytesMax: 1e9,
      sharedDirs: [],
      serverUrl,
      deadlineMs: 10_000,
    },
    token: () => tokens[nodeId] ?? "",
    clock: systemClock,
    onError: (error, doing) => errors.push(`${doing}: ${String(error)}`),
  });
  open.push(mounts);
  return mounts;
}

/** Starts something on a node that reads these pieces in this order. */
async function start(mounts: ImageMounts, pieces: readonly number[]): Promise<void> {
  const held = await mounts.hold(imageId);
  for (const piece of pieces) {
    const bytes = await readFile(join(held.root, `piece-${piece}`));
    expect(bytes[0]).toBe(piece + 1);
  }
  await held.started();
}

const chunkOf = (piece: number): string => {
  const inode = index.lookup(0, Buffer.from(`piece-${piece}`));
  return index.chunkId(index.extent(inode, 0).chunk);
};
const isOn = (nodeId: string, id: string): boolean => {
  const chunks = readdirSync(join(dir, nodeId, "chunks"), { recursive: true, encoding: "utf8" });
  return chunks.some((name) => name.endsWith(id));
};

describe.skipIf(!canMount())("a node that has never started an image", () => {
  test("fetches ahead what starts on another have read, first what they read first", async () => {
    const order = [6, 1, 4];
    await start(nodeOf("no_a"), order);
    const list = Buffer.from((await records.images.reads("main", imageId)) ?? []);
    const told = Array.from({ length: list.byteLength / 4 }, (_, at) => list.readUInt32LE(at * 4));
    expect(told.map((chunk) => index.chunkId(chunk))).toEqual(order.map(chunkOf));
    asked.length = 0;
    await nodeOf("no_b").hold(imageId);
    // Nobody has read a byte of it here.
    await expect.poll(() => order.every((piece) => isOn("no_b", chunkOf(piece)))).toBe(true);
    expect(isOn("no_b", chunkOf(7))).toBe(false);
    const pieces = new Set(order.map(chunkOf));
    expect(asked.filter((id) => pieces.has(id)).toSorted()).toEqual([...pieces].toSorted());
    expect(errors).toEqual([]);
  });

  test("starts as ever where it is told of nothing, and of an image it does not run", async () => {
    runs.delete("no_b");
    await start(nodeOf("no_a"), [5]);
    const other = nodeOf("no_b");
    await start(other, [2]);
    expect(isOn("no_b", chunkOf(5))).toBe(false);
    const list = Buffer.from((await records.images.reads("main", imageId)) ?? []);
    expect(index.chunkId(list.readUInt32LE(0))).toBe(chunkOf(5));
    expect(errors).toEqual([]);
  });

  test("passes over chunks in a list that its image has not", async () => {
    const bad = Buffer.from([255, 255, 255, 255, 0, 0, 0, 0]);
    const inode = index.lookup(0, Buffer.from("piece-3"));
    bad.writeUInt32LE(index.extent(inode, 0).chunk, 4);
    await records.images.putReads("main", imageId, bad);
    const mounts = nodeOf("no_b");
    await mounts.hold(imageId);
    await expect.poll(() => isOn("no_b", chunkOf(3))).toBe(true);
    await start(mounts, [0]);
    expect(errors).toEqual([]);
  });

  test("starts although what the server has is no list, and says so", async () => {
    await records.images.putReads("main", imageId, Buffer.from([1, 2, 3]));
    await start(nodeOf("no_b"), [0]);
    await expect.poll(() => errors.join("\n")).toContain("its answer is no list");
    // What this start read is a good one.
    const list = await records.images.reads("main", imageId);
    expect((list?.byteLength ?? 1) % 4).toBe(0);
  });
});
