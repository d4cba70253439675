import { existsSync, mkdirSync, mkdtempSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ChunkKeeper, openDiskTier } from "../../sandbox/index.ts";
import type { RecordStore, StoredImage } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { systemClock } from "../system-clock.ts";
import { ImageContent } from "./image-content.ts";
import { storeMissingContent } from "./missing-content.ts";

let dir: string;
let content: ImageContent;
let inUse: string[];
let store: RecordStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-content-"));
  inUse = [];
  const chunks = await openDiskTier({ dir: join(dir, "chunks") });
  store = openRecordStore(":memory:");
  const records = store.chunkRecords("chunks");
  const imagesInUse = (): Promise<readonly string[]> => Promise.resolve(inUse);
  const keeper = new ChunkKeeper({ store: chunks, records, imagesInUse, clock: systemClock });
  content = new ImageContent({ chunks, keeper });
});
afterEach(async () => rm(dir, { recursive: true }));

const treeOf = (name: string, text: string): string => {
  const root = join(dir, "roots", name);
  mkdirSync(root, { recursive: true });
  writeFileSync(join(root, "own"), text);
  writeFileSync(join(root, "shared"), Buffer.alloc(300_000, "shared"));
  return root;
};
const chunkCount = (): number =>
  readdirSync(join(dir, "chunks"), { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(dir, "chunks", name)).isFile(),
  ).length;
const keep = (contentId: string): Promise<void> => Promise.resolve(void inUse.push(contentId));

test("what no image in use needs is removed, and what others share stays", async () => {
  await content.store(treeOf("one", "one"), keep);
  const alone = chunkCount();
  await content.store(treeOf("two", "two"), keep);
  expect(chunkCount()).toBeGreaterThan(alone);
  const [one = "", two = ""] = inUse;
  inUse = [one, two, two];
  expect(await content.bytesWithout([two])).toBe(0);
  const bytes = await content.bytesWithout([two, two]);
  expect(await content.bytesWithout([one, two, two, "none"])).toBeGreaterThan(bytes);
  inUse = [one];
  expect(bytes).toBeGreaterThan(0);
  expect(await content.collect()).toBe(bytes);
  expect(chunkCount()).toBe(alone);
  expect([await content.has(one), await content.has(two)]).toEqual([true, false]);
  inUse = [];
  await content.collect();
  expect(chunkCount()).toBe(0);
});

test("nothing is removed under an image that is being stored", async () => {
  await content.store(treeOf("one", "one"), async (contentId) => {
    expect(await content.collect()).toBe(0);
    await keep(contentId);
  });
  expect(await content.collect()).toBe(0);
});

test("an image whose storing failed leaves nothing that stays", async () => {
  await expect(content.store(join(dir, "nothing"), keep)).rejects.toThrow(/nothing/);
  const failing = content.store(treeOf("one", "one"), () => Promise.reject(new Error("no record")));
  await expect(failing).rejects.toThrow("no record");
  expect(inUse).toEqual([]);
  expect(await content.collect()).toBeGreaterThan(0);
  expect(chunkCount()).toBe(0);
});

test("images of an earlier version get their files stored, those without a root do not", async () => {
  const common = { layerKeys: [], steps: [], env: {}, workdir: "/", byteCount: 1 };
  const times = { createdAtMs: 1, usedAtMs: 1 };
  const put = async (imageId: string, more: Partial<StoredImage> = {}): Promise<void> =>
    store.images.put({ imageId, workspaceId: "main", ...common, ...times, ...more });
  treeOf("one", "one");
  treeOf("lost", "lost");
  await put("one");
  await put("lost", { contentId: "f".repeat(64) });
  await put("rootless");
  const errors: string[] = [];
  const builder = { store: { rootOf: (imageId: string) => join(dir, "roots", imageId) } };
  const onError = (_: unknown, doing: string): void => void errors.push(doing);
  await storeMissingContent({ store, builder, content, onError });
  const contentOf = async (imageId: string): Promise<string> =>
    (await store.images.find("main", imageId))?.contentId ?? "none";
  expect(await content.has(await contentOf("one"))).toBe(true);
  expect(await content.has(await contentOf("lost"))).toBe(true);
  expect(await contentOf("rootless")).toBe("none");
  // What is stored is not read again.
  await rm(join(dir, "roots"), { recursive: true });
  await storeMissingContent({ store, builder, content, onError });
  expect(errors).toEqual([]);
  expect(existsSync(join(dir, "roots"))).toBe(false);
});
