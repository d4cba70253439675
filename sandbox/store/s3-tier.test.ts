import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { createChunkSource } from "./chunk-source.ts";
import { describeChunkStore } from "./chunk-store-conformance.ts";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, encodeChunk } from "./chunk.ts";
import { FakeS3 } from "./fake-s3.ts";
import { createMemoryTier } from "./memory-tier.ts";
import { openS3Objects, parseS3Url } from "./s3-objects.ts";
import { createS3Blobs } from "./s3-blobs.ts";
import { createS3Tier } from "./s3-tier.ts";

const credentials = { accessKeyId: "key", secretAccessKey: "secret" };
const open: { close(): void }[] = [];

async function openOn(fake: FakeS3, prefix = "some/prefix"): Promise<ChunkStore> {
  const { endpoint } = fake;
  const objects = await openS3Objects({ bucket: "bucket", prefix, endpoint, credentials });
  open.push(objects);
  return createS3Tier(objects);
}

describeChunkStore("S3", async () => {
  const fake = await FakeS3.open();
  open.push(fake);
  return openOn(fake);
});

afterAll(() => {
  for (const one of open) one.close();
});

const BYTES = Buffer.from("far away ".repeat(1_000));
const ID = chunkIdOf(BYTES);
let fake: FakeS3;
let tier: ChunkStore;

beforeEach(async () => {
  fake = await FakeS3.open();
  tier = await openOn(fake);
  await tier.put(ID, await encodeChunk(BYTES));
  fake.requestCount = 0;
});

afterEach(() => {
  fake.close();
});

const slowDown = { kind: "status", status: 503, code: "SlowDown" } as const;

test("a throttle, an error of the server and a broken connection are tried again", async () => {
  for (const fault of [
    slowDown,
    { kind: "status", status: 500, code: "InternalError" },
    { kind: "reset" },
  ] as const) {
    fake.faults.push(fault);
    expect(await createChunkSource([], [tier]).read(ID)).toEqual(BYTES);
  }
  expect(fake.requestCount).toBe(6);
});

test("a store that goes on failing is unavailable, after three tries, and may be asked later", async () => {
  fake.faults.push(slowDown, slowDown, slowDown);
  await expect(tier.get(ID)).rejects.toMatchObject({
    code: "unavailable",
    retryable: true,
    message: expect.stringContaining(`${ID} in bucket bucket failed`) as string,
  });
  expect(fake.requestCount).toBe(3);
  expect(await tier.get(ID)).toBeDefined();
});

test("an answer that is cut off is never taken for a chunk, and nothing of it is kept", async () => {
  const near = createMemoryTier({ nowMs: () => 0 });
  fake.faults.push({ kind: "cut" });
  await expect(createChunkSource([near], [tier]).read(ID)).rejects.toMatchObject({
    code: "unavailable",
    retryable: true,
  });
  expect((await near.has([ID])).size).toBe(0);
  expect(await createChunkSource([near], [tier]).read(ID)).toEqual(BYTES);
});

test("an object that was changed in the store is refused", async () => {
  const [key = ""] = fake.objects.keys();
  const encoded = Buffer.from(fake.objects.get(key) ?? []);
  encoded[encoded.length - 1] = (encoded[encoded.length - 1] ?? 0) ^ 1;
  fake.objects.set(key, encoded);
  await expect(createChunkSource([], [tier]).read(ID)).rejects.toThrow(/damaged/);
});

test("refused credentials and a bucket that is not there are named, and not tried again", async () => {
  fake.faults.push({ kind: "status", status: 403, code: "AccessDenied" });
  await expect(tier.get(ID)).rejects.toMatchObject({ code: "auth_failed", retryable: false });
  fake.faults.push({ kind: "status", status: 404, code: "NoSuchBucket" });
  await expect(tier.get(ID)).rejects.toMatchObject({ code: "not_found", retryable: false });
  expect(fake.requestCount).toBe(2);
});

test("two prefixes of one bucket do not see each other, nor what is no chunk", async () => {
  fake.objects.set("other/readme", Buffer.from("text"));
  fake.objects.set(`other/xx/${ID}`, Buffer.from("in the wrong folder"));
  const other = await openOn(fake, "other");
  expect(await other.get(ID)).toBeUndefined();
  const listed = [];
  for await (const chunk of other.list()) listed.push(chunk);
  expect(listed).toEqual([]);
});

test("the address of a store is a bucket and a prefix", () => {
  expect(parseS3Url("s3://my-bucket/a/b/")).toEqual({ bucket: "my-bucket", prefix: "a/b" });
  expect(parseS3Url("s3://my-bucket")).toEqual({ bucket: "my-bucket", prefix: "" });
  for (const url of [
    "",
    "s3://",
    "s3:///x",
    "http://bucket/x",
    "s3://B/x",
    "s3://a?b",
    "my-bucket",
  ]) {
    expect(parseS3Url(url)).toBeUndefined();
  }
});

test("blobs are stored once, found by their hash, and damaged ones count as absent", async () => {
  const { endpoint } = fake;
  const objects = await openS3Objects({ bucket: "bucket", prefix: "b", endpoint, credentials });
  open.push(objects);
  const damaged: string[] = [];
  const blobs = createS3Blobs(objects, (sha256) => damaged.push(sha256));
  const large = Buffer.alloc(6 * 1_024 * 1_024, "large");
  for (const bytes of [Buffer.alloc(0), Buffer.from("small"), large]) {
    const sha256 = await blobs.put(bytes);
    expect(sha256).toBe(chunkIdOf(bytes));
    expect(await blobs.put(bytes)).toBe(sha256);
    expect(await blobs.has(sha256)).toBe(true);
    expect(Buffer.compare((await blobs.get(sha256)) ?? Buffer.from("absent"), bytes)).toBe(0);
  }
  const sha256 = chunkIdOf(Buffer.from("small"));
  fake.objects.set(`b/${sha256.slice(0, 2)}/${sha256}`, Buffer.from("other"));
  expect(await blobs.get(sha256)).toBeUndefined();
  expect(damaged).toEqual([sha256]);
  expect(await blobs.has(sha256)).toBe(false);
  const removed = await blobs.put(Buffer.from("to be removed"));
  for (let times = 0; times < 2; times += 1) await blobs.remove(removed);
  expect(await blobs.has(removed)).toBe(false);
  for (const name of ["", "../x", "a".repeat(63)]) {
    expect(await blobs.get(name)).toBeUndefined();
    expect(await blobs.has(name)).toBe(false);
  }
  fake.faults.push(slowDown, slowDown, slowDown);
  await expect(blobs.get(sha256)).rejects.toMatchObject({ code: "unavailable" });
});
