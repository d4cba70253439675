import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../fake/clock.ts";
import type { SnapshotRecord } from "./manifest.ts";
import { SnapshotStore } from "./snapshot-store.ts";

const IMAGE_BYTES = 100_000;
const keyOf = (digit: string): string => digit.repeat(64);

let dir: string;
let store: SnapshotStore;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-snapshot-store-"));
  const readyBytesMax = 3 * IMAGE_BYTES;
  store = await SnapshotStore.open({
    dir: join(dir, "store"),
    readyBytesMax,
    clock: new FakeClock(),
  });
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

async function put(digit: string, byteCount = IMAGE_BYTES): Promise<SnapshotRecord> {
  const imageDir = join(dir, `made-${digit}`);
  await mkdir(imageDir);
  await writeFile(join(imageDir, "checkpoint.img"), Buffer.alloc(byteCount, digit));
  return store.put(keyOf(digit), keyOf(digit), imageDir);
}

/** The images that are put together, by the digit of their keys. */
async function ready(): Promise<string> {
  return (await readdir(join(dir, "store", "ready"))).map((key) => key[0]).join("");
}

test("images that are put together are bounded by their bytes; those used longest ago go", async () => {
  const a = await put("a");
  const b = await put("b");
  await put("c");
  expect(await ready()).toBe("abc");
  await store.prepare(a);
  await put("d");
  expect(await ready()).toBe("acd");
  // What went is put together again, and something else goes for it.
  const image = await readFile(join(await store.prepare(b), "checkpoint.img"), "latin1");
  expect(image).toBe("b".repeat(IMAGE_BYTES));
  expect(await ready()).toBe("abd");
});

test("one image that is larger than all may be is put together alone", async () => {
  await put("a");
  const large = await put("b", 5 * IMAGE_BYTES);
  expect(await ready()).toBe("b");
  expect(await store.prepare(large)).toContain(keyOf("b"));
  await put("c");
  expect(await ready()).toBe("c");
});
