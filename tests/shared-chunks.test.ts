/**
 * Two servers that share a bucket of chunks and a record store, and collect while they build.
 * What is in use stays readable, whatever the bucket does and whoever dies.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ChunkKeeper,
  createChunkSource,
  LeaseEndedError,
  type ChunkStore,
} from "../sandbox/index.ts";
import { chunksOfImage, REMOVAL_MS_MAX } from "../sandbox/store/chunk-keeper.ts";
import { describeChunkRecords } from "../sandbox/store/chunk-records-conformance.ts";
import { FakeS3, type S3Fault } from "../sandbox/store/fake-s3.ts";
import { openS3Objects, type S3Objects } from "../sandbox/store/s3-objects.ts";
import { createS3Tier } from "../sandbox/store/s3-tier.ts";
import { LEASE_MS } from "../sandbox/store/store-lease.ts";
import { ImageContent } from "../server/images/image-content.ts";
import type { RecordStore, StoredImage } from "../server/store/record-store.ts";
import { openRecordStore } from "../server/store/sqlite/open.ts";

describeChunkRecords("SQLite", () =>
  Promise.resolve(openRecordStore(":memory:").chunkRecords("chunks")),
);

let dir: string;
let s3: FakeS3;
let servers: Server[];
let nowMs: number;
/** How often a removal was waited for. */
let waitCount = 0;
/** Whether who waits sees time pass by itself. */
let doesTimePass: boolean;
let removalCount = 0;

/** What one server has of images. */
interface Server {
  readonly store: RecordStore;
  readonly objects: S3Objects;
  readonly chunks: ChunkStore;
  readonly keeper: ChunkKeeper;
  readonly content: ImageContent;
}

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-shared-"));
  nowMs = 1_000_000;
  doesTimePass = false;
  s3 = await FakeS3.open();
  servers = [await openServer(), await openServer()];
});

afterEach(async () => {
  for (const { store, objects } of servers) {
    await store.close();
    objects.close();
  }
  s3.close();
  await rm(dir, { recursive: true });
});

async function openServer(): Promise<Server> {
  const store = openRecordStore(join(dir, "records.sqlite"));
  const { endpoint } = s3;
  const credentials = { accessKeyId: "key", secretAccessKey: "secret" };
  const objects = await openS3Objects({ bucket: "bucket", prefix: "p", endpoint, credentials });
  const bucket = createS3Tier(objects);
  const chunks: ChunkStore = {
    ...bucket,
    delete: async (ids) => {
      removalCount += 1;
      await bucket.delete(ids).finally(() => (removalCount -= 1));
    },
  };
  const keeper = keeperOf(store, chunks);
  return { store, objects, chunks, keeper, content: new ImageContent({ chunks, keeper }) };
}

function keeperOf(store: RecordStore, chunks: ChunkStore): ChunkKeeper {
  return new ChunkKeeper({
    store: chunks,
    records: store.chunkRecords("chunks"),
    imagesInUse: async () => contentsOf(await store.images.list()),
    clock: {
      nowMs: () => nowMs,
      sleep: async () => {
        waitCount += 1;
        // Never in the middle of a removal: that is what all rests on.
        if (doesTimePass && removalCount === 0) nowMs += REMOVAL_MS_MAX;
        await setImmediate();
      },
    },
  });
}

const contentsOf = (images: readonly StoredImage[]): readonly string[] =>
  images.flatMap(({ contentId }) => contentId ?? []);

/** A tree of some files of a few that all share. */
function treeOf(name: string, files: readonly number[]): string {
  const root = join(dir, "roots", name);
  mkdirSync(root, { recursive: true });
  for (const file of files) {
    writeFileSync(join(root, `file ${file}`), Buffer.alloc(300_000, `content ${file}`));
  }
  return root;
}

const imageOf = (imageId: string, contentId: string): StoredImage => ({
  ...{ imageId, contentId, workspaceId: "main", steps: [], layerKeys: [], env: {}, workdir: "/" },
  ...{ byteCount: 1, createdAtMs: 1, usedAtMs: 1 },
});

async function build({ content, store }: Server, imageId: string, root: string): Promise<void> {
  await content.store(root, (contentId, leaseId) =>
    store.images.put(imageOf(imageId, contentId), leaseId),
  );
}

/** Fails unless every image that is noted can be read to its last chunk. */
async function expectWhole({ chunks, store }: Server): Promise<ReadonlySet<string>> {
  const source = createChunkSource([chunks]);
  const needed = new Set<string>();
  for (const contentId of contentsOf(await store.images.list())) {
    const ids = await chunksOfImage(source, contentId);
    expect(ids.length).toBeGreaterThan(2);
    for (const id of ids) await source.read(id);
    for (const id of ids) needed.add(id);
  }
  return needed;
}

const chunkNames = (): readonly string[] =>
  [...s3.objects.keys()].map((key) => key.split("/").at(-1) ?? "").sort();

test("whatever a bucket does, images that are noted stay whole while both build and collect", async () => {
  const fault: fc.Arbitrary<S3Fault | undefined> = fc.constantFrom(
    undefined,
    undefined,
    { kind: "status", status: 503, code: "SlowDown" } as const,
    { kind: "status", status: 403, code: "AccessDenied" } as const,
    { kind: "unanswered" } as const,
    { kind: "reset" } as const,
  );
  const run = fc.record({
    builds: fc.array(fc.uniqueArray(fc.nat({ max: 4 }), { minLength: 1, maxLength: 3 }), {
      minLength: 2,
      maxLength: 5,
    }),
    removed: fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 3 }),
    faults: fc.array(fault, { maxLength: 12 }),
  });
  let round = 0;
  doesTimePass = true;
  await fc.assert(
    fc.asyncProperty(run, async ({ builds, removed, faults }) => {
      round += 1;
      const [one, two] = servers;
      if (one === undefined || two === undefined) return;
      for (const each of faults) if (each !== undefined) s3.faults.push(each);
      const working = builds.map(async (files, at) => {
        const name = `${round}-${at}`;
        const server = at % 2 === 0 ? one : two;
        await build(server, name, treeOf(name, files));
        if (removed.includes(at)) await server.store.images.remove("main", name);
      });
      const collecting = [one, two, one].map(async ({ keeper }, at) => {
        for (let turn = 0; turn < at; turn += 1) await two.chunks.has([]);
        await keeper.collect();
      });
      await Promise.allSettled([...working, ...collecting]);
      s3.faults.length = 0;
      await expectWhole(one);
      // What a removal that failed has left, and a build whose end was not noted, goes in time.
      nowMs += 2 * LEASE_MS;
      await two.keeper.collect();
      expect(chunkNames()).toEqual([...(await expectWhole(two))].sort());
      for (const { imageId } of await one.store.images.list()) {
        await one.store.images.remove("main", imageId);
      }
    }),
    { numRuns: 12 },
  );
});

describe("a server that stood still", () => {
  test("until its lease was ended notes nothing, and stores all anew", async () => {
    const [one, two] = servers;
    if (one === undefined || two === undefined) throw new Error("two servers");
    const refused: unknown[] = [];
    await one.content.store(treeOf("late", [1, 2]), async (contentId, leaseId) => {
      if (refused.length === 0) {
        nowMs += LEASE_MS;
        expect((await two.keeper.collect()).removedChunkCount).toBeGreaterThan(2);
        expect(s3.objects.size).toBe(0);
      }
      await one.store.images.put(imageOf("late", contentId), leaseId).catch((error: unknown) => {
        refused.push(error);
        throw error;
      });
    });
    expect(refused).toEqual([expect.any(LeaseEndedError)]);
    expect((await expectWhole(two)).size).toBe(s3.objects.size);
  });

  test("and one that died hold what they stored for as long as their lease, and no longer", async () => {
    const [one, two] = servers;
    if (one === undefined || two === undefined) throw new Error("two servers");
    let died = (): void => undefined;
    const never = one.content.store(
      treeOf("dead", [3]),
      () => new Promise<never>((_, reject) => (died = () => reject(new Error("dead")))),
    );
    never.catch(() => undefined);
    await expect.poll(() => s3.objects.size).toBeGreaterThan(2);
    await build(two, "other", treeOf("other", [4]));
    nowMs += LEASE_MS - 1;
    expect((await two.keeper.collect()).removedChunkCount).toBe(0);
    nowMs += LEASE_MS;
    expect((await two.keeper.collect()).removedChunkCount).toBeGreaterThan(1);
    expect(chunkNames()).toEqual([...(await expectWhole(two))].sort());
    died();
  });

  test("in the middle of a removal is waited for, and what was to go is stored anew", async () => {
    const [one, two] = servers;
    if (one === undefined || two === undefined) throw new Error("two servers");
    const root = treeOf("again", [1]);
    await build(one, "first", root);
    await one.store.images.remove("main", "first");
    // It never learns what came of it.
    const dying = keeperOf(one.store, {
      ...one.chunks,
      delete: async (ids) => {
        await one.chunks.delete(ids);
        throw new Error("dead");
      },
    });
    await expect(dying.collect()).rejects.toThrow("dead");
    const building = build(two, "second", root);
    let isBuilt = false;
    void building.then(() => (isBuilt = true));
    const waits = waitCount;
    await expect.poll(() => waitCount).toBeGreaterThan(waits + 2);
    expect(isBuilt).toBe(false);
    nowMs += 5 * 60_000;
    await building;
    expect((await expectWhole(one)).size).toBe(s3.objects.size);
  });
});

test("an image that another record shares is noted only while one of them is there", async () => {
  const [one, two] = servers;
  if (one === undefined || two === undefined) throw new Error("two servers");
  await build(one, "first", treeOf("first", [1]));
  const [contentId = ""] = contentsOf(await two.store.images.list());
  expect(await two.store.images.putShared(imageOf("second", contentId))).toBe(true);
  await one.store.images.remove("main", "first");
  await one.keeper.collect();
  await expectWhole(two);
  await one.store.images.remove("main", "second");
  expect(await two.store.images.putShared(imageOf("third", contentId))).toBe(false);
  expect(await two.store.images.list()).toEqual([]);
});
