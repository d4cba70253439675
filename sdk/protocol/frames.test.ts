import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameDecoder, FrameError } from "./frames.ts";

const MIB = 1024 * 1024;

test("frames are the same wherever their bytes are cut, in drops or in one piece", () => {
  const made = fc.record({ header: fc.jsonValue(), body: fc.uint8Array({ maxLength: 9_000 }) });
  fc.assert(
    fc.property(fc.array(made, { maxLength: 5 }), fc.array(fc.nat()), (frames, cuts) => {
      const whole = Buffer.concat(frames.map(({ header, body }) => encodeFrame(header, [body])));
      const ends = [...cuts.map((cut) => cut % (whole.byteLength + 1)), whole.byteLength];
      ends.sort((a, b) => a - b);
      const decoder = new FrameDecoder();
      const found = ends.flatMap((end, at) => decoder.push(whole.subarray(ends[at - 1] ?? 0, end)));
      const expected = frames.map(({ header, body }) => ({
        header: JSON.parse(JSON.stringify(header)) as unknown,
        body: Buffer.from(body),
      }));
      expect(found.map(({ header, body }) => ({ header, body: Buffer.from(body) }))).toEqual(
        expected,
      );
      expect(decoder.pendingBytes).toBe(0);
    }),
  );
});

test("a large frame in single bytes costs its bytes, not a piece of memory for each", () => {
  const decoder = new FrameDecoder();
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(60 * MIB, 0);
  prefix.writeUInt32LE(MIB, 4);
  decoder.push(prefix);
  const before = process.memoryUsage();
  for (let at = 0; at < MIB; at += 1) decoder.push(new Uint8Array(1));
  const after = process.memoryUsage();
  const grown = (kind: "heapUsed" | "arrayBuffers"): number => after[kind] - before[kind];
  expect(decoder.pendingBytes).toBe(MIB + 8);
  expect(grown("heapUsed") + grown("arrayBuffers")).toBeLessThan(64 * MIB);
});

test("a header above its own limit is refused before it is there, a large body is not", () => {
  const decoder = new FrameDecoder(10 * MIB, 100);
  expect(decoder.push(encodeFrame({ a: 1 }, [new Uint8Array(MIB)]))).toHaveLength(1);
  expect(decoder.headerBytes).toBe(7);
  expect(() => decoder.push(encodeFrame("x".repeat(100)).subarray(0, 8))).toThrow(FrameError);
});
