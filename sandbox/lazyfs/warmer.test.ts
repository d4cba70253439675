import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createChunkSource, openDiskTier, type ImageIndex } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { WarmHints, type WarmHint } from "./warm-hints.ts";
import { Warmer } from "./warmer.ts";

const FILES = 40;
const LARGE_BYTES = 300 * 1_024;

let dir: string;
let index: ImageIndex;
let chunks: Map<number, Uint8Array>;
let listed: string[];
/** What the kernel was told, by inode. */
let stored: Map<number, string>;
let refused: ReadonlySet<number>;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-warmer-"));
  const tree = join(dir, "tree");
  for (const folder of ["modules/deep", "other"])
    mkdirSync(join(tree, folder), { recursive: true });
  for (let number = 0; number < FILES; number += 1) {
    writeFileSync(join(tree, "modules/deep", `module_${number}`), `code of ${number} `.repeat(50));
    writeFileSync(join(tree, "other", `text_${number}`), `text ${number} `.repeat(30));
  }
  writeFileSync(join(tree, "modules/deep", "large"), Buffer.alloc(LARGE_BYTES, "large "));
  writeFileSync(join(tree, "modules/deep", "empty"), "");
  const store = await openDiskTier({ dir: join(dir, "store") });
  ({ index } = await ingestTree(tree, store));
  const source = createChunkSource([store]);
  chunks = new Map();
  for (const [number, id] of index.chunkIds().entries()) chunks.set(number, await source.read(id));
  listed = [];
  stored = new Map();
  refused = new Set();
});

afterEach(() => rmSync(dir, { recursive: true }));

function newWarmer(bytesOf = (chunk: number) => chunks.get(chunk)): Warmer {
  return new Warmer({
    index,
    mountPoint: "/image",
    bytesOf,
    list: (path) => void listed.push(path),
    send: (message) => {
      expect(message.readUInt32LE(0)).toBe(message.byteLength);
      // The notification's number, where replies have an error, and no request that it answers.
      expect(message.readInt32LE(4)).toBe(4);
      expect(message.readBigUInt64LE(8)).toBe(0n);
      expect(message.readBigUInt64LE(24)).toBe(0n);
      const inode = Number(message.readBigUInt64LE(16)) - 1;
      if (refused.has(inode)) throw new Error("ENOENT");
      expect(message.readUInt32LE(32)).toBe(index.size(inode));
      stored.set(inode, message.toString("utf8", 40));
    },
  });
}

function inodeOf(...names: readonly string[]): number {
  return names.reduce((folder, name) => index.lookup(folder, Buffer.from(name)), 0);
}

function chunkOf(inode: number): number {
  return index.extent(inode, 0).chunk;
}

function storedNames(folder: number): readonly string[] {
  return index
    .entries(folder)
    .filter(({ inode }) => stored.has(inode))
    .map(({ name }) => Buffer.from(name).toString());
}

test("small files of a pack are stored once it was read from, as far as their names are known", () => {
  const warmer = newWarmer();
  const deep = inodeOf("modules", "deep");
  const other = inodeOf("other");
  const used = new Set(index.entries(deep).map(({ inode }) => chunkOf(inode)));
  for (const chunk of used) warmer.take({ type: "chunk", chunk });
  expect(stored.size).toBe(0);
  warmer.take({ type: "folder", inode: deep });
  expect(listed).toEqual(["/image/modules/deep"]);
  expect(storedNames(other)).toEqual([]);
  expect(storedNames(deep)).toHaveLength(FILES);
  for (const { name, inode } of index.entries(deep)) {
    const number = Buffer.from(name).toString().split("_")[1];
    if (number !== undefined) expect(stored.get(inode)).toBe(`code of ${number} `.repeat(50));
  }
});

test("a folder that the kernel listed itself is not listed again", () => {
  const warmer = newWarmer();
  const other = inodeOf("other");
  warmer.take({ type: "listed", inode: other });
  warmer.take({ type: "folder", inode: other });
  expect(listed).toEqual([]);
  const chunk = chunkOf(inodeOf("other", "text_0"));
  warmer.take({ type: "chunk", chunk });
  const expected = index.entries(other).filter(({ inode }) => chunkOf(inode) === chunk);
  expect(storedNames(other)).toHaveLength(expected.length);
});

test("a file that the kernel does not know hinders no other, and is not tried again", () => {
  const warmer = newWarmer();
  const other = inodeOf("other");
  refused = new Set([inodeOf("other", "text_3")]);
  warmer.take({ type: "folder", inode: other });
  for (const chunk of chunks.keys()) warmer.take({ type: "chunk", chunk });
  expect(storedNames(other)).toHaveLength(FILES - 1);
});

test("a chunk that is not on this machine is left to whoever reads it", () => {
  const warmer = newWarmer(() => undefined);
  warmer.take({ type: "folder", inode: inodeOf("other") });
  for (const chunk of chunks.keys()) warmer.take({ type: "chunk", chunk });
  expect(stored.size).toBe(0);
});

test("what goes wrong costs time only", () => {
  const warmer = new Warmer({
    index,
    mountPoint: "/image",
    bytesOf: (chunk) => chunks.get(chunk),
    list: () => {
      throw new Error("EIO");
    },
    send: () => expect.unreachable(),
  });
  expect(() => warmer.take({ type: "folder", inode: inodeOf("other") })).not.toThrow();
});

test("a folder is named once its names are looked up one by one, a large one later", () => {
  const hints: WarmHint[] = [];
  const watch = new WarmHints(index, (hint) => hints.push(hint));
  const root = 0;
  const deep = inodeOf("modules", "deep");
  watch.looked(root);
  expect(hints).toEqual([]);
  for (let look = 0; look < 7; look += 1) watch.looked(root);
  expect(hints).toEqual([{ type: "folder", inode: root }]);
  watch.listed(deep);
  for (let look = 0; look < FILES; look += 1) watch.looked(deep);
  watch.used(2);
  watch.used(2);
  expect(hints.slice(1)).toEqual([
    { type: "listed", inode: deep },
    { type: "chunk", chunk: 2 },
  ]);
});
