import { createHmac } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { storedDeflate, storePlainly, type Rewriting } from "./gvisor-state-file.ts";

const METADATA = { timestamp: "2022-12-19", _timestamp: "2022-12-19 00:00:00 UTC" };

interface Parts {
  readonly metadata?: object;
  readonly chunkBytes?: number;
  readonly chunks: readonly Uint8Array[];
}

/** A file as release 20221219 writes it; its chunks are deflate streams. */
function stateFile({ metadata = METADATA, chunkBytes = 1_024, chunks }: Parts): Buffer {
  const json = Buffer.from(JSON.stringify(metadata));
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(json.byteLength));
  const head = Buffer.concat([Buffer.from("gVisorSF"), length, json]);
  const hmac = createHmac("sha256", "").update(head).digest();
  const framed = chunks.flatMap((chunk) => [u32(chunk.byteLength), chunk]);
  return Buffer.concat([head, hmac, u32(chunkBytes), ...framed]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Bytes cut into chunks, each compressed at this level. */
function compressed(bytes: Uint8Array, chunkBytes: number, level = 1): Uint8Array[] {
  const count = Math.max(1, Math.ceil(bytes.byteLength / chunkBytes));
  return Array.from({ length: count }, (_, at) =>
    deflateRawSync(bytes.subarray(at * chunkBytes, (at + 1) * chunkBytes), { level }),
  );
}

async function rewritten(file: Uint8Array): Promise<{ rewriting: Rewriting; file: Buffer }> {
  let at = 0;
  const written: Uint8Array[] = [];
  const rewriting = await storePlainly({
    read: (byteCount) => {
      const bytes = Buffer.from(file.subarray(at, at + byteCount));
      at += byteCount;
      return Promise.resolve(bytes);
    },
    write: (bytes) => {
      written.push(Uint8Array.from(bytes));
      return Promise.resolve();
    },
  });
  return { rewriting, file: Buffer.concat(written) };
}

/** All before the chunks, and each chunk unpacked, read without any of the code under test. */
function unpacked(file: Buffer): { readonly head: Buffer; readonly chunks: readonly Buffer[] } {
  const headBytes = 16 + Number(file.readBigUInt64BE(8)) + 32 + 4;
  const chunks: Buffer[] = [];
  for (let at = headBytes; at < file.byteLength;) {
    const end = at + 4 + file.readUInt32BE(at);
    expect(end).toBeLessThanOrEqual(file.byteLength);
    chunks.push(inflateRawSync(file.subarray(at + 4, end)));
    at = end;
  }
  return { head: file.subarray(0, headBytes), chunks };
}

/** Memory as it is: runs of one byte, and noise. */
const memory = fc
  .array(
    fc.oneof(
      fc.tuple(fc.nat(255), fc.nat(3_000)).map(([byte, count]) => Buffer.alloc(count, byte)),
      fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 6 },
  )
  .map((runs) => Buffer.concat(runs));

test("what was compressed unpacks to the same, chunk by chunk, behind the same head", async () => {
  await fc.assert(
    fc.asyncProperty(
      memory,
      fc.integer({ min: 1, max: 5_000 }).map((size) => Math.max(size, 64)),
      fc.integer({ min: 0, max: 9 }),
      fc.dictionary(fc.string(), fc.string()),
      async (bytes, chunkBytes, level, added) => {
        const metadata = { ...METADATA, ...added, compression: undefined };
        const chunks = compressed(bytes, chunkBytes, level);
        const before = stateFile({ metadata, chunkBytes, chunks });
        const { rewriting, file } = await rewritten(before);
        expect(rewriting).toEqual({ kind: "plain" });
        expect(unpacked(file)).toEqual(unpacked(before));
        // A chunk has its length, and each of its blocks the five bytes of its header.
        const blockCount = chunks.length * Math.ceil(chunkBytes / 65_535);
        const overhead = unpacked(before).head.byteLength + chunks.length * 4 + blockCount * 5;
        expect(file.byteLength).toBeLessThanOrEqual(bytes.byteLength + overhead);
        // Done again it changes nothing.
        expect((await rewritten(file)).file).toEqual(file);
      },
    ),
  );
});

test("a deflate stream of stored blocks holds the bytes as they are", () => {
  for (const byteCount of [0, 1, 65_534, 65_535, 65_536, 131_070, 131_071, 1_048_576]) {
    const bytes = Buffer.from(Array.from({ length: byteCount }, (_, at) => (at * 31) % 251));
    const stream = storedDeflate(bytes);
    expect(Buffer.compare(inflateRawSync(stream), bytes)).toBe(0);
    const blockCount = Math.max(1, Math.ceil(byteCount / 65_535));
    expect(stream.byteLength).toBe(byteCount + 5 * blockCount);
    expect(stream.subarray(5, 5 + 65_535)).toEqual(bytes.subarray(0, 65_535));
  }
});

test("chunks of the size that gVisor makes are rewritten", async () => {
  const bytes = Buffer.alloc(5 * 1_048_576 + 17, "memory of a guest ");
  const before = stateFile({ chunkBytes: 1_048_576, chunks: compressed(bytes, 1_048_576) });
  const { rewriting, file } = await rewritten(before);
  expect(rewriting).toEqual({ kind: "plain" });
  const after = Buffer.concat(unpacked(file).chunks);
  expect(Buffer.compare(after, bytes)).toBe(0);
});

test("a file that says it is not compressed is left alone", async () => {
  const file = stateFile({ metadata: { ...METADATA, compression: "none" }, chunks: [] });
  const { rewriting, file: written } = await rewritten(file);
  expect(rewriting).toEqual({ kind: "not_compressed" });
  expect(written.byteLength).toBe(0);
});

describe("refused, with the reason", () => {
  const bytes = Buffer.alloc(3_000, "memory");
  const good = stateFile({ chunks: compressed(bytes, 1_024) });
  const [first = Buffer.of(), second = Buffer.of(), third = Buffer.of()] = compressed(bytes, 1_024);
  const headBytes = unpacked(good).head.byteLength;
  const changed = (at: number, value: number): Buffer => {
    const file = Buffer.from(good);
    file[at] = value;
    return file;
  };
  const metadata = { compression: "flate-best-speed" };

  test.each([
    ["nothing", Buffer.of(), /does not begin as gVisor's do/],
    ["text", Buffer.from("hello, this is no state file"), /does not begin as gVisor's do/],
    ["another magic", changed(7, 0x47), /does not begin as gVisor's do/],
    ["a head that is cut off", good.subarray(0, 12), /cut off in its head/],
    ["no hash after the metadata", good.subarray(0, headBytes - 5), /cut off in its head/],
    ["no size of chunks", good.subarray(0, headBytes - 1), /cut off in its head/],
    ["metadata without end", changed(8, 0xff), /claims \d+ bytes of metadata/],
    ["changed metadata", changed(20, 0x20), /not followed by the hash/],
    ["a changed hash", changed(headBytes - 5, ~(good[headBytes - 5] ?? 0)), /not followed by/],
    ["a compression of its own", stateFile({ metadata, chunks: [first] }), /is "flate-best-speed"/],
    ["chunks of no size", stateFile({ chunkBytes: 0, chunks: [first] }), /chunks of 0 bytes/],
    ["huge chunks", stateFile({ chunkBytes: 2 ** 31, chunks: [first] }), /chunks of 2147483648/],
    ["no chunks", good.subarray(0, headBytes), /chunk 0 is cut off in its length/],
    ["bytes after the last chunk", Buffer.concat([good, Buffer.of(0)]), /chunk 3 .* not whole/],
    ["a length that is cut off", good.subarray(0, headBytes + 2), /chunk 0 is cut off in its/],
    ["a chunk that is cut off", good.subarray(0, -1), /chunk 2 is cut off: \d+ of \d+/],
    ["a chunk of no bytes", stateFile({ chunks: [Buffer.of()] }), /chunk 0 cannot be unpacked/],
    [
      "a chunk that claims too much",
      Buffer.concat([good.subarray(0, headBytes), u32(2 ** 32 - 1), first]),
      /chunk 0 claims 4294967295 bytes/,
    ],
    [
      "a stream that ends too early",
      stateFile({ chunks: [first.subarray(0, -2)] }),
      /chunk 0 cannot be unpacked: unexpected end/,
    ],
    ["what is no stream", stateFile({ chunks: [Buffer.alloc(40, 7)] }), /chunk 0 cannot be/],
    [
      "a chunk that unpacks to more than one",
      stateFile({ chunkBytes: 1_000, chunks: [first] }),
      /chunk 0 cannot be unpacked/,
    ],
    [
      "a short chunk in the middle",
      stateFile({ chunks: [first, third, second] }),
      /chunk 2 comes after one that is not whole/,
    ],
  ])("%s", async (_, file, reason) => {
    const { rewriting } = await rewritten(file);
    expect(rewriting).toMatchObject({ kind: "not_understood" });
    expect(rewriting.kind === "not_understood" && rewriting.reason).toMatch(reason);
  });

  test("a file that is cut off anywhere, but for the end of a chunk", async () => {
    const ends = [headBytes + 4 + first.byteLength];
    ends.push((ends[0] ?? 0) + 4 + second.byteLength);
    for (let byteCount = 0; byteCount < good.byteLength; byteCount += 1) {
      const { rewriting } = await rewritten(good.subarray(0, byteCount));
      const isEnd = ends.includes(byteCount);
      expect([byteCount, rewriting.kind]).toEqual([byteCount, isEnd ? "plain" : "not_understood"]);
    }
  });

  test("whatever it is, in bounded memory and without an exception", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ at: fc.nat(good.byteLength - 1), value: fc.nat(255) }), {
          minLength: 1,
          maxLength: 4,
        }),
        async (changes) => {
          const file = Buffer.from(good);
          for (const { at, value } of changes) file[at] = value;
          const { rewriting, file: written } = await rewritten(file);
          // What is changed within a chunk and unpacks all the same means the same as before.
          if (rewriting.kind === "plain") expect(unpacked(written)).toEqual(unpacked(file));
        },
      ),
    );
  });
});
