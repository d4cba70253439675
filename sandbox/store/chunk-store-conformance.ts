/** What every chunk store must do; each adapter's test calls it with a way to make one. */
import { describe, expect, test } from "vitest";
import type { ChunkStore } from "./chunk-store.ts";
import { chunkIdOf, decodeChunk, encodeChunk } from "./chunk.ts";

const MANY = 150;

/** Declares the suite; `open` gives a new, empty store. */
export function describeChunkStore(name: string, open: () => Promise<ChunkStore>): void {
  describe(`${name} as a chunk store`, () => {
    test("gives back what was put, byte for byte", async () => {
      const store = await open();
      const { id, encoded } = await chunkOf("hello ".repeat(10_000));
      await store.put(id, encoded);
      const found = await store.get(id);
      expect(found && decodeChunk(id, found)).toEqual(Buffer.from("hello ".repeat(10_000)));
    });

    test("keeps the empty chunk", async () => {
      const store = await open();
      const { id, encoded } = await chunkOf("");
      await store.put(id, encoded);
      const found = await store.get(id);
      expect(found && decodeChunk(id, found).byteLength).toBe(0);
    });

    test("says that it does not have what it does not have", async () => {
      const store = await open();
      const { id } = await chunkOf("absent");
      expect(await store.get(id)).toBeUndefined();
      expect([...(await store.has([id]))]).toEqual([]);
      expect(await idsIn(store)).toEqual([]);
    });

    test("answers a question about no chunk and about the same chunk twice", async () => {
      const store = await open();
      const { id, encoded } = await chunkOf("one");
      await store.put(id, encoded);
      expect([...(await store.has([]))]).toEqual([]);
      expect([...(await store.has([id, id]))]).toEqual([id]);
    });

    test("takes the same chunk from several at once, and keeps it once", async () => {
      const store = await open();
      const { id, encoded } = await chunkOf("twice");
      await Promise.all(Array.from({ length: 8 }, () => store.put(id, encoded)));
      expect(await idsIn(store)).toEqual([id]);
    });
  });

  describeMany(name, open);
}

function describeMany(name: string, open: () => Promise<ChunkStore>): void {
  describe(`${name} as a store of many chunks`, () => {
    test("lists all of many chunks with their sizes, and removes those that are named", async () => {
      const store = await open();
      const chunks = await Promise.all(
        Array.from({ length: MANY }, (_, number) => chunkOf(`chunk ${number}`)),
      );
      await Promise.all(chunks.map(({ id, encoded }) => store.put(id, encoded)));
      const ids = chunks.map(({ id }) => id);
      expect(await idsIn(store)).toEqual(ids.toSorted());
      for await (const { id, byteCount } of store.list()) {
        expect(byteCount).toBe(chunks.find((chunk) => chunk.id === id)?.encoded.byteLength);
      }
      const gone = ids.slice(0, 100);
      const absent = (await chunkOf("never stored")).id;
      await store.delete([...gone, absent]);
      await store.delete(gone);
      expect(await idsIn(store)).toEqual(ids.slice(100).toSorted());
      expect(await store.has(ids)).toEqual(new Set(ids.slice(100)));
    });

    test.each(["", "../../../etc/passwd", "A".repeat(64), `${"a".repeat(63)}/`, "a".repeat(65)])(
      "refuses the name %j everywhere",
      async (id) => {
        const store = await open();
        const refusal = { code: "invalid_request" };
        await expect(store.get(id)).rejects.toMatchObject(refusal);
        await expect(store.put(id, new Uint8Array(5))).rejects.toMatchObject(refusal);
        await expect(store.has([id])).rejects.toMatchObject(refusal);
        await expect(store.delete([id])).rejects.toMatchObject(refusal);
      },
    );
  });
}

async function chunkOf(text: string): Promise<{ id: string; encoded: Uint8Array }> {
  const bytes = Buffer.from(text);
  return { id: chunkIdOf(bytes), encoded: await encodeChunk(bytes) };
}

async function idsIn(store: ChunkStore): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { id } of store.list()) ids.push(id);
  return ids.sort();
}
