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
  for (let at = 0; at < MIB - 1; at += 1) decoder.push(new Uint8Array(1));
  const after = process.memoryUsage();
  const grown = (kind: "heapUsed" | "arrayBuffers"): number => after[kind] - before[kind];
  expect(decoder.pendingBytes).toBe(MIB + 7);
  expect(grown("heapUsed") + grown("arrayBuffers")).toBeLessThan(64 * MIB);
});

test("a header above its own limit is refused before it is there, a large body is not", () => {
  const decoder = new FrameDecoder(10 * MIB, 100);
  expect(decoder.push(encodeFrame({ a: 1 }, [new Uint8Array(MIB)]))).toHaveLength(1);
  expect(decoder.headerBytes).toBe(7);
  expect(() => decoder.push(encodeFrame("x".repeat(100)).subarray(0, 8))).toThrow(FrameError);
});

test("borrowed memory may be written again at once, between and within frames of any size", () => {
  const size = fc.oneof(fc.nat(100), fc.integer({ min: 250_000, max: 700_000 }));
  const runs = fc.tuple(
    fc.array(size, { maxLength: 4 }),
    fc.integer({ min: 10_000, max: 400_000 }),
  );
  fc.assert(
    fc.property(runs, ([sizes, readBytes]) => {
      const bodies = sizes.map((byteCount, at) => new Uint8Array(byteCount).fill(at + 1));
      const whole = Buffer.concat(bodies.map((body, at) => encodeFrame({ at }, [body])));
      const decoder = new FrameDecoder();
      const memory = new Uint8Array(readBytes);
      const found = [];
      for (let from = 0; from < whole.byteLength; from += readBytes) {
        const read = whole.subarray(from, from + readBytes);
        memory.set(read);
        found.push(...decoder.pushBorrowed(memory.subarray(0, read.byteLength)));
        memory.fill(0xff);
      }
      expect(found.map(({ header }) => header)).toEqual(bodies.map((_, at) => ({ at })));
      found.forEach(({ body }, at) => {
        expect(Buffer.from(body).equals(bodies[at] ?? new Uint8Array(1))).toBe(true);
      });
      expect(decoder.pendingBytes).toBe(0);
    }),
    { numRuns: 50 },
  );
});

test("a large body has memory of its own, and is counted while it comes", () => {
  const decoder = new FrameDecoder();
  const bytes = encodeFrame({ a: 1 }, [new Uint8Array(MIB)]);
  expect(decoder.push(bytes.subarray(0, MIB / 2))).toEqual([]);
  expect(decoder.pendingBytes).toBeGreaterThan(MIB / 2 - 20);
  const [frame] = decoder.push(bytes.subarray(MIB / 2));
  expect(frame?.body.buffer.byteLength).toBe(MIB);
});

test("a large body comes to its place, wherever its bytes are cut, and a small one does not", () => {
  const place = new Uint8Array(700_000);
  const asked: unknown[] = [];
  const decoder = new FrameDecoder(10 * MIB, 100, (header, bodyBytes) => {
    asked.push([header, bodyBytes]);
    return place;
  });
  const body = new Uint8Array(700_000).map((_, index) => index % 251);
  const whole = Buffer.concat([
    encodeFrame("small", [new Uint8Array(5)]),
    encodeFrame("large", [body]),
    encodeFrame("other", [body.subarray(1)]),
  ]);
  const frames = Array.from({ length: Math.ceil(whole.byteLength / 65_536) }, (_, at) =>
    decoder.pushBorrowed(whole.subarray(at * 65_536, (at + 1) * 65_536)),
  ).flat();
  expect(frames.map(({ header }) => header)).toEqual(["small", "large", "other"]);
  expect(frames[1]?.body).toBe(place);
  expect(Buffer.compare(place, body)).toBe(0);
  expect(frames[2]?.body).not.toBe(place);
  expect(asked).toEqual([
    ["large", 700_000],
    ["other", 699_999],
  ]);
});
