import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  isReference,
  loadReference,
  namedChunks,
  storeSegments,
  type ChunkStore,
} from "./large-payload.ts";
import { ByteWriter } from "./values/byte-writer.ts";
import { decodeSegments, decodeValue, encodeSegments, joinSegments } from "./values.ts";

const MIB = 1024 * 1024;

class FakeStore implements ChunkStore {
  readonly blobs = new Map<string, Uint8Array>();
  heldCount = 0;
  heldMax = 0;

  async put(bytes: Uint8Array): Promise<string> {
    this.heldCount += 1;
    this.heldMax = Math.max(this.heldMax, this.heldCount);
    await Promise.resolve();
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    this.blobs.set(sha256, bytes.slice());
    this.heldCount -= 1;
    return sha256;
  }

  async get(sha256: string): Promise<Uint8Array> {
    const bytes = this.blobs.get(sha256);
    await Promise.resolve();
    if (bytes === undefined) throw new Error(`no blob ${sha256}`);
    return bytes.slice();
  }
}

function patterned(size: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index += 97) bytes[index] = (index * seed) % 251;
  return bytes;
}

async function throughBlobs(value: unknown): Promise<unknown> {
  const store = new FakeStore();
  const reference = await storeSegments(encodeSegments(value), store);
  expect(isReference(reference)).toBe(true);
  expect(reference.byteLength).toBeLessThan(64 * 1024);
  expect(store.heldMax).toBeLessThanOrEqual(4);
  return decodeSegments(await loadReference(reference, store));
}

describe("a large payload", () => {
  test("comes back as it was: bytes, typed arrays, texts and what refers to them", async () => {
    const floats = new Float64Array(patterned(3 * MIB + 8).buffer);
    const value = {
      bytes: patterned(9 * MIB + 1),
      floats,
      again: floats,
      text: "ä".repeat(MIB),
      map: new Map([[1n, patterned(300_000).buffer]]),
      none: undefined,
    };
    expect(await throughBlobs([value])).toEqual([value]);
    const json = { text: "x".repeat(17 * MIB), list: [1, 2, 3] };
    expect(await throughBlobs(json)).toEqual(json);
  });

  test("is not copied: neither the sender's memory nor that of the one who reads it", async () => {
    const sent = patterned(20 * MIB);
    const segments = encodeSegments([sent]);
    expect(segments.some(({ buffer }) => buffer === sent.buffer)).toBe(true);
    const store = new FakeStore();
    const loaded = await loadReference(await storeSegments(segments, store), store);
    const [value] = decodeSegments(loaded) as [Uint8Array];
    expect(loaded.some((segment) => segment.buffer === value.buffer)).toBe(true);
    expect(value.buffer.byteLength).toBe(sent.byteLength);
  });

  test("comes to where it stays, chunk by chunk, from a store that puts it there", async () => {
    const parts = [patterned(100), patterned(19 * MIB, 3), patterned(5, 5), patterned(4 * MIB, 7)];
    const store = new FakeStore();
    const reference = await storeSegments(parts, store);
    let placed = 0;
    const placing = {
      put: store.put.bind(store),
      get: async (sha256: string, _signal?: AbortSignal, place?: Uint8Array) => {
        const bytes = await store.get(sha256);
        if (place?.byteLength !== bytes.byteLength) return bytes;
        place.set(bytes);
        placed += 1;
        return place;
      },
    };
    const loaded = await loadReference(reference, placing);
    expect(Buffer.compare(joinSegments(loaded), joinSegments(parts))).toBe(0);
    // All but those with the ends of segments in them.
    expect(placed).toBe(store.blobs.size - 2);
  });

  test("whose parts are small blobs is cut the same way whatever the segments are", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 * MIB }), { minLength: 1, maxLength: 12 }),
        async (sizes) => {
          const parts = sizes.map((size, index) => patterned(size, index + 1));
          const store = new FakeStore();
          const loaded = await loadReference(await storeSegments(parts, store), store);
          expect(Buffer.compare(joinSegments(loaded), joinSegments(parts))).toBe(0);
          expect(loaded.map(({ byteLength }) => byteLength)).toEqual(sizes);
        },
      ),
      { numRuns: 10 },
    );
  });

  test("that one reader gives up is asked for no further", async () => {
    const store = new FakeStore();
    const reference = await storeSegments([patterned(64 * MIB)], store);
    const controller = new AbortController();
    let asked = 0;
    const counting = {
      put: store.put.bind(store),
      get: async (sha256: string) => {
        asked += 1;
        controller.abort(new Error("enough"));
        return store.get(sha256);
      },
    };
    await expect(loadReference(reference, counting, controller.signal)).rejects.toThrow("enough");
    expect(asked).toBeLessThanOrEqual(4);
  });

  test("of which a part is gone or has another size is an error", async () => {
    const store = new FakeStore();
    const reference = await storeSegments([patterned(9 * MIB)], store);
    const [first = ""] = store.blobs.keys();
    store.blobs.set(first, new Uint8Array(5));
    await expect(loadReference(reference, store)).rejects.toThrow(/a chunk has 5 bytes instead of/);
    store.blobs.delete(first);
    await expect(loadReference(reference, store)).rejects.toThrow(`no blob ${first}`);
  });
});

describe("a reference that nobody made", () => {
  function forged(chunkBytes: number, sizes: readonly number[], hashCount: number): Uint8Array {
    const writer = new ByteWriter();
    writer.byte(3);
    writer.varint(chunkBytes);
    writer.varint(sizes.length);
    for (const size of sizes) writer.varint(size);
    for (let byte = 0; byte < hashCount * 32; byte += 1) writer.byte(byte % 256);
    return joinSegments(writer.segments());
  }

  test.each([
    ["asks for more memory than there may be", forged(8 * MIB, [2 ** 40], 1), /has \d+ bytes/],
    ["has tiny chunks", forged(1, [5], 5), /chunks of 1 bytes/],
    ["has huge chunks", forged(2 ** 31, [5], 1), /chunks of 2147483648 bytes/],
    ["names too few chunks", forged(8 * MIB, [9 * MIB], 1), /names 1 chunks/],
    ["names too many chunks", forged(8 * MIB, [5], 2), /names 2 chunks/],
    ["is cut short", forged(8 * MIB, [5], 1).subarray(0, 5), /cut short/],
    ["is empty", Uint8Array.of(3), /cut short/],
  ])("is refused when it %s", async (_, payload, message) => {
    await expect(loadReference(payload, new FakeStore())).rejects.toThrow(message);
  });

  test("never allocates and never hangs, whatever its bytes are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        const payload = Uint8Array.from([3, ...bytes]);
        expect(namedChunks(payload)).toEqual([]);
        const loading = loadReference(payload, new FakeStore());
        const outcome = await loading.catch((error: unknown) => error);
        expect(outcome instanceof Error || Array.isArray(outcome)).toBe(true);
      }),
    );
  });

  test("says which blobs it names, and other payloads name none", async () => {
    const store = new FakeStore();
    const reference = await storeSegments([patterned(17 * MIB), patterned(3, 7)], store);
    expect(namedChunks(reference)).toHaveLength(5);
    expect(new Set(namedChunks(reference))).toEqual(new Set(store.blobs.keys()));
    expect(namedChunks(forged(8 * MIB, [5], 2))).toEqual([]);
    expect(namedChunks(joinSegments(encodeSegments("ab".repeat(64), "it")))).toEqual([]);
    expect(namedChunks(new Uint8Array(0))).toEqual([]);
  });

  test("is not taken for a value", () => {
    expect(() => decodeValue(forged(8 * MIB, [5], 1))).toThrow(/kept as blobs/);
  });
});
