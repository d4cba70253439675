/**
 * `node tree-reader.ts KIND ROOT`: reads a tree in one way and prints operations per second of
 * the first and of the second pass, as JSON. A process of its own, as readers are.
 */
import { closeSync, lstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

const [kind = "", root = ""] = process.argv.slice(2);
const SMALL_BYTES = 4_096;
const LARGE_BYTES = 1_024 * 1_024;
const FILES_MAX = 5_000;

/** Plain files in the order of the tree. */
function* filesOf(dir: string): Generator<string> {
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) yield* filesOf(path);
    else if (entry.isFile()) yield path;
  }
}

const buffer = Buffer.alloc(LARGE_BYTES);

/** Reads a file to its end, or only its beginning; gives how many reads that took. */
function read(path: string, byteCount: number, isWhole: boolean): number {
  const file = openSync(path, "r");
  let reads = 0;
  try {
    do reads += 1;
    while (readSync(file, buffer, 0, byteCount, null) === byteCount && isWhole);
  } finally {
    closeSync(file);
  }
  return reads;
}

const WAYS: Readonly<Record<string, (path: string) => number>> = {
  lookup: (path) => (lstatSync(path), 1),
  read_4k: (path) => read(path, SMALL_BYTES, false),
  read_1m: (path) => read(path, LARGE_BYTES, true),
};

/** The paths come from the tree on the disk, so that listing them warms nothing. */
const [, , , , listRoot = root] = process.argv;
const all = [...filesOf(listRoot)];
const large = all.filter((path) => lstatSync(path).size >= LARGE_BYTES);
const paths = (kind === "read_1m" ? large : all.slice(0, FILES_MAX)).map(
  (path) => root + path.slice(listRoot.length),
);
const way = WAYS[kind];
if (way === undefined) throw new Error(`there is no way "${kind}" to read a tree`);
const rates = [1, 2].map(() => {
  const startedAtMs = performance.now();
  const operations = paths.reduce((sum, path) => sum + way(path), 0);
  return (operations * 1_000) / (performance.now() - startedAtMs);
});
process.stdout.write(JSON.stringify(rates));
