import fc from "fast-check";
import { expect, test } from "vitest";
import { GatheredBytes, giveBack } from "./gathered-bytes.ts";

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
