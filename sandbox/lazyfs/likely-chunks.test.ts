import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HOLE, S_IFREG, type ImageIndex } from "../store/index.ts";
import { ingestTree } from "../store/ingest-tree.ts";
import { createMemoryTier } from "../store/memory-tier.ts";
import { LikelyChunks } from "./likely-chunks.ts";
import type { FilePiece } from "./read-file.ts";

const PIECE = 256 * 1_024;
const UNUSED_BYTES_MIN = 4 * 1_024 * 1_024;
const PIECES = 100;
const FOLDER_FILES = 60;

let dir: string;
let index: ImageIndex;
/** Every piece of every file that has a chunk. */
let pieces: readonly FilePiece[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-likely-"));
  mkdirSync(join(dir, "tree/one/inner"), { recursive: true });
  mkdirSync(join(dir, "tree/other"));
  for (let number = 0; number < FOLDER_FILES; number += 1) {
    for (const folder of ["one", "one/inner", "other"]) {
      const text = `${folder} has ${number}; `.repeat(600);
      writeFileSync(join(dir, "tree", folder, `file_${number}`), text);
    }
  }
  const large = Buffer.alloc(PIECES * PIECE);
  for (let piece = 0; piece < PIECES; piece += 1) large.fill(piece + 1, piece * PIECE);
  writeFileSync(join(dir, "tree/one/large"), large);
  writeFileSync(join(dir, "tree/one/hole"), large.subarray(0, PIECE));
  truncateSync(join(dir, "tree/one/hole"), 9 * PIECE);
  writeFileSync(join(dir, "tree/one/empty"), "");
  ({ index } = await ingestTree(join(dir, "tree"), createMemoryTier({ nowMs: () => 0 })));
  pieces = allPieces();
});

afterAll(() => rmSync(dir, { recursive: true }));

function allPieces(): readonly FilePiece[] {
  const found: FilePiece[] = [];
  for (let inode = 0; inode < index.inodeCount; inode += 1) {
    if (index.type(inode) !== S_IFREG) continue;
    for (let piece = 0; piece < index.pieceCount(inode); piece += 1) {
      const { chunk } = index.extent(inode, piece);
      if (chunk !== HOLE) found.push({ inode, piece, chunk });
    }
  }
  return found;
}

function inodeOf(path: string): number {
  return path.split("/").reduce((folder, name) => index.lookup(folder, Buffer.from(name)), 0);
}

function pieceOf(path: string, piece = 0): FilePiece {
  const inode = inodeOf(path);
  return { inode, piece, chunk: index.extent(inode, piece).chunk };
}

/** Pieces of the large file that these chunks are. */
function piecesOfLarge(chunks: readonly number[]): readonly number[] {
  const inode = inodeOf("one/large");
  return chunks
    .map((chunk) => pieces.findIndex((one) => one.inode === inode && one.chunk === chunk))
    .map((position) => pieces[position]?.piece ?? -1);
}

test("after a small file come the packs of its own folder, and no others", () => {
  const waited = pieceOf("other/file_30");
  const guessed = new LikelyChunks(index).after(waited);
  const beside = pieces.filter(({ inode }) => index.parent(inode) === inodeOf("other"));
  const expected = new Set(beside.map(({ chunk }) => chunk));
  expected.delete(waited.chunk);
  expect(expected.size).toBeGreaterThan(2);
  expect(new Set(guessed)).toEqual(expected);
  const distances = guessed.map((chunk) => Math.abs(chunk - waited.chunk));
  expect(distances).toEqual([...distances].sort((one, other) => one - other));
});

test("after a part of a large file come the parts around it, within the file", () => {
  const middle = new LikelyChunks(index).after(pieceOf("one/large", 50));
  expect(piecesOfLarge(middle)).toEqual([51, 49, 52, 48, 53, 47]);
  expect(piecesOfLarge(new LikelyChunks(index).after(pieceOf("one/large", 0)))).toEqual([1, 2, 3]);
  const last = new LikelyChunks(index).after(pieceOf("one/large", PIECES - 1));
  expect(piecesOfLarge(last)).toEqual([PIECES - 2, PIECES - 3, PIECES - 4]);
});

test("holes are never fetched", () => {
  expect(new LikelyChunks(index).after(pieceOf("one/hole"))).toEqual([]);
});

test("who reads a file in order waits ever less often", () => {
  const likely = new LikelyChunks(index);
  const there = new Set<number>();
  const waits: number[] = [];
  for (let piece = 0; piece < PIECES; piece += 1) {
    const waited = pieceOf("one/large", piece);
    if (!there.has(waited.chunk)) {
      waits.push(piece);
      for (const chunk of likely.after(waited)) there.add(chunk);
    }
    likely.use(waited.chunk);
  }
  expect(waits).toEqual([0, 4, 9, 18, 35, 68]);
});

test("in any order of waits and uses, unused guesses stay within what was used and 4 MiB", () => {
  const step = fc.record({ at: fc.nat(), waits: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const likely = new LikelyChunks(index);
      const used = new Set<number>();
      const guessed: number[] = [];
      for (const { at, waits } of steps) {
        const piece = pieces[at % pieces.length];
        if (piece === undefined) throw new Error("there are pieces");
        used.add(piece.chunk);
        if (!waits) likely.use(piece.chunk);
        else guessed.push(...likely.after(piece));
        const unused = guessed.filter((chunk) => !used.has(chunk));
        expect(bytesOf(unused)).toBeLessThanOrEqual(bytesOf([...used]) + UNUSED_BYTES_MIN);
      }
      // Nothing is guessed twice.
      expect(new Set(guessed).size).toBe(guessed.length);
    }),
  );
});

function bytesOf(chunks: readonly number[]): number {
  return chunks.reduce((sum, chunk) => sum + index.chunkBytes(chunk), 0);
}
