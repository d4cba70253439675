import fc from "fast-check";
import { expect, test } from "vitest";
import { GatheredBytes, giveBack, keptMemory } from "./gathered-bytes.ts";

const MIB = 1024 * 1024;

test("pieces come out as they went in, whatever was expected", () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 20_000 }), { maxLength: 8 });
  fc.assert(
    fc.property(pieces, fc.nat(200_000), (given, expectedBytes) => {
      const gathered = new GatheredBytes(expectedBytes);
      for (const piece of given) gathered.add(piece);
      const whole = Buffer.concat(given);
      expect(gathered.byteCount).toBe(whole.byteLength);
      expect(Buffer.from(gathered.take()).equals(whole)).toBe(true);
    }),
  );
});

test("what is expected exactly has memory of its own, which can be given back", () => {
  for (const byteCount of [20_000, 9 * MIB, 40 * MIB]) {
    const gathered = new GatheredBytes(byteCount);
    for (let at = 0; at < byteCount; at += 7_919) {
      gathered.add(new Uint8Array(Math.min(7_919, byteCount - at)));
    }
    const bytes = gathered.take();
    expect(bytes.buffer.byteLength).toBe(byteCount);
    giveBack(bytes);
    expect(bytes.byteLength).toBe(0);
  }
});

test("a peer that announces much and sends little costs little", () => {
  const gathered = new GatheredBytes(4_096 * MIB);
  gathered.add(new Uint8Array(10));
  expect(gathered.take().buffer.byteLength).toBeLessThanOrEqual(8 * MIB);
});

test("a view of something larger, and what is small, keep their memory", () => {
  const whole = new Uint8Array(64 * 1024);
  giveBack(whole.subarray(0, 32 * 1024));
  giveBack(whole.subarray(1));
  expect(whole.byteLength).toBe(64 * 1024);
  const small = new Uint8Array(100);
  giveBack(small);
  expect(small.byteLength).toBe(100);
});

test("bytes come to their place if it has room for just as many, else it is left alone", () => {
  const place = new Uint8Array(300_000);
  const fitting = new GatheredBytes(300_000, place);
  for (let at = 0; at < 300_000; at += 50_000) fitting.add(new Uint8Array(50_000).fill(7));
  expect(fitting.take()).toBe(place);
  expect(place.every((byte) => byte === 7)).toBe(true);
  const other = new GatheredBytes(299_999, place);
  other.add(new Uint8Array(299_999));
  expect(other.take()).not.toBe(place);
  expect(place[0]).toBe(7);
});

test("a place that becomes too small is not given back: it is somebody else's", () => {
  const place = new Uint8Array(100_000);
  const gathered = new GatheredBytes(100_000, place);
  gathered.add(new Uint8Array(60_000).fill(1));
  gathered.add(new Uint8Array(60_000).fill(2));
  expect(place.byteLength).toBe(100_000);
  const bytes = gathered.take();
  expect([bytes.byteLength, bytes[59_999], bytes[60_000]]).toEqual([120_000, 1, 2]);
});

test("memory that is given back is used again, and nothing is left to those who had it", () => {
  const first = keptMemory(3 * MIB);
  if (first === undefined) throw new Error("a part of a payload has kept memory");
  first.fill(9);
  const { buffer } = first;
  const view = first.subarray(5, 10);
  giveBack(first);
  expect([first.byteLength, view.byteLength, buffer.byteLength]).toEqual([0, 0, 0]);
  const second = keptMemory(4 * MIB);
  expect(second?.byteLength).toBe(4 * MIB);
  // Given back twice is given back once.
  giveBack(first);
  const third = keptMemory(4 * MIB);
  expect(third?.buffer).not.toBe(second?.buffer);
});

test("two never have the same memory, however much is given back, and little of it is kept", () => {
  const lent = Array.from({ length: 20 }, () => keptMemory(2 * MIB));
  expect(new Set(lent.map((bytes) => bytes?.buffer)).size).toBe(20);
  for (const bytes of lent) if (bytes !== undefined) giveBack(bytes);
  expect(lent.every((bytes) => bytes?.byteLength === 0)).toBe(true);
  const again = Array.from({ length: 20 }, () => keptMemory(2 * MIB));
  expect(new Set(again.map((bytes) => bytes?.buffer)).size).toBe(20);
});

test("sizes that no part of a payload has are not kept", () => {
  for (const byteCount of [0, 1, MIB - 1, 4 * MIB + 1, 64 * MIB]) {
    expect(keptMemory(byteCount)).toBeUndefined();
  }
});
