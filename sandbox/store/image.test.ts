import { spawnSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { beforeEach, expect, test } from "vitest";
import { BLOB_PIECE_BYTES, putBlob, readBlob } from "./blob.ts";
import { createChunkSource } from "./chunk-source.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf } from "./chunk.ts";
import { FileCutter, PIECE_BYTES, type CutChunk, type Place } from "./cut-files.ts";
import { HOLE, type ImageIndex } from "./image-index.ts";
import { ingestTree } from "./ingest-tree.ts";
import { materialise } from "./materialise.ts";
import { createMemoryTier } from "./memory-tier.ts";
import { openImageIndex, readImageIndex } from "./open-index.ts";
import { parseGetfattr, readXattrs, writeXattrs } from "./xattrs.ts";

let dir: string;
let tree: string;
let store: ChunkStore;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-image-"));
  tree = join(dir, "tree");
  mkdirSync(tree);
  store = createMemoryTier({ nowMs: () => 0 });
});

const noise = (byteCount: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(byteCount);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < byteCount; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
};

function sortedNames(path: Buffer): Buffer[] {
  const names = readdirSync(path, { encoding: "buffer" });
  return names.sort((left, right) => Buffer.compare(left, right));
}

/** Everything that two equal trees have in common, as text. */
function describeTree(root: string): string[] {
  const lines: string[] = [];
  const seen = new Map<number, string>();
  const visit = (path: Buffer, shown: string): void => {
    const stats = lstatSync(path);
    const first = stats.isDirectory() ? undefined : seen.get(stats.ino);
    seen.set(stats.ino, shown);
    const content = stats.isFile() ? chunkIdOf(readFileSync(path)) : "";
    const target = stats.isSymbolicLink() ? readlinkSync(path, "latin1") : "";
    lines.push(
      [
        ...[shown, stats.mode.toString(8), stats.uid, stats.gid, Math.round(stats.mtimeMs)],
        ...[stats.isFile() ? stats.size : "", content, target, first ?? ""],
      ].join(" "),
    );
    if (!stats.isDirectory()) return;
    for (const name of sortedNames(path)) {
      visit(Buffer.concat([path, Buffer.from("/"), name]), `${shown}/${name.toString("latin1")}`);
    }
  };
  visit(Buffer.from(root), ".");
  return lines;
}

function writeNastyTree(root: string): void {
  writeFileSync(join(root, "empty"), "");
  writeFileSync(join(root, "small"), "small");
  writeFileSync(join(root, "small-again"), "small");
  writeFileSync(join(root, "exactly-one-piece"), noise(PIECE_BYTES, 1));
  writeFileSync(join(root, "one-byte-more"), noise(PIECE_BYTES + 1, 2));
  writeFileSync(join(root, "large"), noise(5 * PIECE_BYTES + 17, 3));
  writeFileSync(join(root, "sparse"), "x");
  truncateSync(join(root, "sparse"), 3 * PIECE_BYTES + 5);
  writeFileSync(Buffer.from(`${root}/\xff\xfe not utf-8`, "latin1"), "bytes");
  writeFileSync(join(root, "line\nbreak and \\ and = and ünïcode"), "odd");
  mkdirSync(join(root, "a/b/c/d"), { recursive: true });
  mkdirSync(join(root, "empty-folder"), { mode: 0o711 });
  for (let number = 0; number < 200; number += 1) {
    writeFileSync(join(root, `a/b/file-${number}`), noise(number * 97, number));
  }
  symlinkSync("../../nowhere", join(root, "a/dangling"));
  symlinkSync("/etc/passwd", join(root, "a/absolute"));
  symlinkSync("b", join(root, "a/to-folder"));
  linkSync(join(root, "large"), join(root, "a/b/c/large-too"));
  linkSync(join(root, "a/dangling"), join(root, "a/dangling-too"));
  writeFileSync(join(root, "setuid"), "#!");
  chmodSync(join(root, "setuid"), 0o4755);
  chmodSync(join(root, "a/b"), 0o1777);
  utimesSync(join(root, "small"), 1, -12_345.5);
  lutimesSync(join(root, "a/dangling"), 7, 7);
  utimesSync(join(root, "a/b/c"), 99, 99);
}

test("a tree with everything nasty in it comes back as it was", async () => {
  writeNastyTree(tree);
  const { imageId, figures } = await ingestTree(tree, store);
  const restored = join(dir, "restored");
  await materialise(imageId, createChunkSource([store]), restored);
  expect(describeTree(restored)).toEqual(describeTree(tree));
  expect(figures.linkCount).toBe(3);
  // What is sparse stays sparse: a hole takes no chunk.
  expect(lstatSync(join(restored, "sparse")).blocks).toBeLessThan(2 * (PIECE_BYTES / 512));
});

test("equal trees are one image, whose second ingestion stores nothing but its name", async () => {
  writeNastyTree(tree);
  const first = await ingestTree(tree, store);
  const again = await ingestTree(tree, store);
  expect(again.imageId).toBe(first.imageId);
  expect(again.figures).toMatchObject({ newChunkCount: 0, newBytes: 0 });
  utimesSync(join(tree, "small"), 5, 5);
  const touched = await ingestTree(tree, store);
  expect(touched.imageId).not.toBe(first.imageId);
  expect(touched.figures.newChunkCount).toBe(0);
});

test("one changed file among many small ones costs one pack, not all that follow", async () => {
  for (let number = 0; number < 2_000; number += 1) {
    writeFileSync(join(tree, `f${String(number).padStart(4, "0")}`), noise(1_500, number));
  }
  await ingestTree(tree, store);
  writeFileSync(join(tree, "f0500"), noise(1_900, 99_999));
  writeFileSync(join(tree, "f0500-new"), noise(700, 99_998));
  const { figures } = await ingestTree(tree, store);
  expect(figures.newBytes).toBeLessThanOrEqual(2 * PIECE_BYTES);
  expect(figures.newBytes).toBeLessThan(0.1 * figures.bytes);
});

test("special files are refused by name, left out, or kept", async () => {
  spawnSync("mknod", [join(tree, "pipe"), "p"]);
  await expect(ingestTree(tree, store)).rejects.toMatchObject({
    code: "invalid_request",
    details: { path: "pipe" },
  });
  const without = await ingestTree(tree, store, { specialFiles: "skip" });
  expect(without.index.entries(0)).toEqual([]);
  const { imageId } = await ingestTree(tree, store, { specialFiles: "keep" });
  const restored = join(dir, "restored");
  await materialise(imageId, createChunkSource([store]), restored);
  expect(lstatSync(join(restored, "pipe")).isFIFO()).toBe(true);
});

test("a folder that is not there, a file, and an aborted ingestion end with a reason", async () => {
  await expect(ingestTree(join(dir, "absent"), store)).rejects.toMatchObject({
    code: "unavailable",
  });
  writeFileSync(join(dir, "file"), "");
  await expect(ingestTree(join(dir, "file"), store)).rejects.toMatchObject({
    code: "invalid_request",
  });
  writeFileSync(join(tree, "file"), "content");
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(ingestTree(tree, store, { signal })).rejects.toThrow("enough");
});

test("an image is restored as a whole or not at all", async () => {
  writeFileSync(join(tree, "a"), noise(PIECE_BYTES, 5));
  writeFileSync(join(tree, "b"), noise(PIECE_BYTES, 6));
  const { imageId, index } = await ingestTree(tree, store);
  await store.delete([index.chunkId(1)]);
  const target = join(dir, "restored");
  await expect(materialise(imageId, createChunkSource([store]), target)).rejects.toMatchObject({
    code: "not_found",
  });
  expect(readdirSync(dir)).toEqual(["tree"]);
  mkdirSync(target);
  writeFileSync(join(target, "something"), "");
  const empty = await ingestTree(join(dir, "restored"), store);
  await expect(
    materialise(empty.imageId, createChunkSource([store]), target),
  ).rejects.toMatchObject({ code: "conflict" });
  expect(readdirSync(dir).sort()).toEqual(["restored", "tree"]);
});

test("names are found in folders of any size, and nothing else is", async () => {
  const names = ["a", "a.b", "a0", "aa", "b", "ab", "Z", "ä", "zz"];
  for (const name of names) writeFileSync(join(tree, name), name);
  const { index } = await ingestTree(tree, store);
  for (const name of names) {
    const inode = index.lookup(0, Buffer.from(name));
    expect(index.size(inode), name).toBe(Buffer.byteLength(name));
  }
  for (const name of ["", "0", "a.", "aaa", "b0", "zzz", "A"]) {
    expect(index.lookup(0, Buffer.from(name)), name).toBe(-1);
  }
  // A file is no folder.
  expect(index.lookup(1, Buffer.from("a"))).toBe(-1);
});

test("an index with any word changed is refused or can be read to its end", async () => {
  writeNastyTree(tree);
  const { index } = await ingestTree(tree, store);
  const words = Math.floor(index.layout.chunksAt / 4);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: words - 1 }),
      fc.oneof(fc.constantFrom(0, 1, 2, 0xff_ff_ff_ff, 0x80_00_00_00), fc.nat()),
      (word, value) => {
        const bytes = Buffer.from(index.bytes);
        const copy = new Uint8Array(bytes.byteLength);
        copy.set(bytes);
        new Uint32Array(copy.buffer, 0, words)[word] = value;
        let opened: ImageIndex | undefined;
        try {
          opened = openImageIndex(copy);
        } catch (error) {
          expect(error).toMatchObject({ code: "invalid_request" });
        }
        if (opened !== undefined) walk(opened);
      },
    ),
    { numRuns: 500 },
  );
});

/** Follows every name and piece; a cycle or a stray number would end in an error or never. */
function walk(index: ImageIndex): void {
  const open = [0];
  let looked = 0;
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    for (const { inode } of index.entries(folder)) {
      looked += 1;
      expect(looked).toBeLessThanOrEqual(index.layout.entryCount);
      open.push(inode);
      for (let piece = 0; piece < index.pieceCount(inode); piece += 1) {
        const { chunk, start, byteCount } = index.extent(inode, piece);
        if (chunk === HOLE) continue;
        expect(start + byteCount).toBeLessThanOrEqual(index.chunkBytes(chunk));
      }
    }
  }
}

test("an index that is cut off anywhere is refused", async () => {
  writeFileSync(join(tree, "file"), "content");
  const { index } = await ingestTree(tree, store);
  for (let length = 0; length < index.bytes.byteLength; length += 1) {
    expect(() => openImageIndex(Uint8Array.from(index.bytes.slice(0, length)))).toThrow(/invalid/);
  }
});

test("a chunk that is no index, and a blob that is none, are not mounted", async () => {
  const source = createChunkSource([store]);
  const blobId = await putBlob(store, Buffer.from("no index"));
  await expect(readImageIndex(source, blobId)).rejects.toMatchObject({ code: "invalid_request" });
  const [pieceId] = (await blobPieces(blobId)) as [string];
  await expect(readImageIndex(source, pieceId)).rejects.toMatchObject({ code: "invalid_request" });
});

async function blobPieces(blobId: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of store.list()) if (id !== blobId) ids.push(id);
  return ids;
}

test.each([0, 1, BLOB_PIECE_BYTES, BLOB_PIECE_BYTES + 1, 3 * BLOB_PIECE_BYTES])(
  "a blob of %i bytes comes back",
  async (byteCount) => {
    const bytes = noise(byteCount, 11);
    const blobId = await putBlob(store, bytes);
    const read = await readBlob(createChunkSource([store]), blobId);
    expect(chunkIdOf(read)).toBe(chunkIdOf(bytes));
  },
);

test("however files are cut, their pieces put together are the files", () => {
  const file = fc.record({ byteCount: fc.nat({ max: 90_000 }), seed: fc.nat({ max: 3 }) });
  fc.assert(
    fc.property(fc.array(file, { maxLength: 30 }), (files) => {
      const chunks: CutChunk[] = [];
      const cutter = new FileCutter((chunk) => chunks.push(chunk));
      const cut = files.map(({ byteCount, seed }) => {
        const bytes = noise(byteCount, seed);
        const places: Place[] = [];
        cutter.addSmall(bytes, places);
        return { bytes, places };
      });
      cutter.finish();
      for (const { bytes, places } of cut) {
        expect(places.length).toBe(bytes.byteLength === 0 ? 0 : 1);
        const [place] = places;
        if (place === undefined) continue;
        const found = chunks[place.chunk]?.bytes.subarray(
          place.start,
          place.start + bytes.byteLength,
        );
        expect(Buffer.compare(found ?? Buffer.alloc(0), bytes)).toBe(0);
      }
      for (const { id, bytes } of chunks) {
        expect(bytes.byteLength).toBeLessThanOrEqual(PIECE_BYTES);
        expect(chunkIdOf(bytes)).toBe(id);
      }
    }),
    { numRuns: 50 },
  );
});

test("attributes come back from their bytes, and broken bytes give none", () => {
  const xattrs = [
    { name: "security.capability", value: Buffer.from("0100000200200000", "hex") },
    { name: "user.empty", value: Buffer.alloc(0) },
  ];
  const bytes = writeXattrs(xattrs.toReversed());
  expect(readXattrs(bytes)).toEqual(xattrs);
  expect(readXattrs(bytes.subarray(0, bytes.byteLength - 9))).toBeUndefined();
  expect(readXattrs(new Uint8Array(0))).toEqual([]);
});

test("what getfattr prints is read, with escaped names and empty values", () => {
  const output = [
    "# file: usr/bin/ping",
    "security.capability=0sAQAAAgAgAAAAAAAAAAAAAAAAAAA=",
    "",
    "# file: odd\\012name\\134",
    "user.none",
    "user.text=0saGk=",
    "",
  ].join("\n");
  expect([...parseGetfattr(output)]).toEqual([
    [
      "usr/bin/ping",
      [
        {
          name: "security.capability",
          value: Buffer.from("AQAAAgAgAAAAAAAAAAAAAAAAAAA=", "base64"),
        },
      ],
    ],
    [
      "odd\nname\\",
      [
        { name: "user.none", value: Buffer.alloc(0) },
        { name: "user.text", value: Buffer.from("hi") },
      ],
    ],
  ]);
});

test("attributes that the caller brings are part of the image", async () => {
  writeFileSync(join(tree, "ping"), "#!");
  const value = Buffer.from("cap");
  const xattrs = new Map([["ping", [{ name: "security.capability", value }]]]);
  const { index, imageId } = await ingestTree(tree, store, { xattrs });
  expect(readXattrs(index.xattrBytes(1))).toEqual([{ name: "security.capability", value }]);
  const without = await ingestTree(tree, store, { xattrs: new Map() });
  expect(without.imageId).not.toBe(imageId);
});
