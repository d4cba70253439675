import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { Readable, Writable } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { pieceOf } from "./check-piece.ts";
import { PIECE_BYTES_MAX, WINDOW_BYTES, type Piece } from "./piece.ts";
import { PieceStream } from "./piece-stream.ts";

const NOTHING = new Uint8Array(0);

interface Sent {
  readonly piece: Piece;
  readonly body: Uint8Array;
}

/** A stream whose other side is the test, with everything that it sent. */
function alone(keepsWhole = false): { stream: PieceStream; sent: Sent[]; errors: Error[] } {
  const sent: Sent[] = [];
  const errors: Error[] = [];
  const stream = new PieceStream((piece, body) => sent.push({ piece, body }), keepsWhole);
  stream.on("error", (error) => errors.push(error));
  return { stream, sent, errors };
}

/** Two ends; pieces cross in order, a turn later. */
function joined(): readonly [PieceStream, PieceStream] {
  const ends: PieceStream[] = [];
  const to = (index: number) => (piece: Piece, body: Uint8Array) =>
    setImmediate(() => ends[index]?.hear(piece, body));
  const a = new PieceStream(to(1));
  const b = new PieceStream(to(0));
  ends.push(a, b);
  for (const end of ends) end.on("error", () => undefined);
  return [a, b];
}

/** All that comes until the end; unlike an iterator it leaves the other direction open. */
async function read(stream: PieceStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  const sink = new Writable({
    write: (part: Buffer, _encoding, done) => {
      parts.push(part);
      done();
    },
  });
  await pipeline(stream, sink);
  return Buffer.concat(parts);
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("two ends", () => {
  test("carry whatever is written, in order, both ways at once", async () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(parts, parts, async (there, back) => {
        const [a, b] = joined();
        const results = await Promise.all([
          pipeline(Readable.from(there), a),
          pipeline(Readable.from(back), b),
          read(b),
          read(a),
        ]);
        expect(Buffer.compare(results[2], Buffer.concat(there))).toBe(0);
        expect(Buffer.compare(results[3], Buffer.concat(back))).toBe(0);
        expect(a.destroyed && b.destroyed).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test("carry more than a window", async () => {
    const [a, b] = joined();
    const bytes = Buffer.alloc(5 * WINDOW_BYTES + 17, 7);
    a.end(bytes);
    b.end();
    const [got] = await Promise.all([read(b), read(a)]);
    expect(got.equals(bytes)).toBe(true);
  });

  test("stay half open: one side may end long before the other", async () => {
    const [a, b] = joined();
    a.end("question");
    expect((await read(b)).toString()).toBe("question");
    b.end("answer");
    expect((await read(a)).toString()).toBe("answer");
  });
});

describe("back-pressure", () => {
  test("no more than a window is sent to a side that reads nothing", async () => {
    const { stream, sent } = alone();
    stream.write(Buffer.alloc(3 * WINDOW_BYTES));
    await settled();
    const bytes = sent.reduce((sum, { body }) => sum + body.byteLength, 0);
    expect(bytes).toBe(WINDOW_BYTES);
    expect(Math.max(...sent.map(({ body }) => body.byteLength))).toBeLessThanOrEqual(
      PIECE_BYTES_MAX,
    );
    stream.hear({ kind: "credit", bytes: 10 }, NOTHING);
    expect(sent.at(-1)?.body.byteLength).toBe(10);
  });

  test("credit comes back as the reader takes, and not before", async () => {
    const { stream, sent } = alone();
    for (let size = 0; size < WINDOW_BYTES; size += PIECE_BYTES_MAX) {
      stream.hear({ kind: "data" }, new Uint8Array(PIECE_BYTES_MAX));
    }
    await settled();
    expect(sent).toEqual([]);
    stream.resume();
    await settled();
    const credit = sent.map(({ piece }) => (piece.kind === "credit" ? piece.bytes : 0));
    expect(credit.reduce((sum, bytes) => sum + bytes, 0)).toBe(WINDOW_BYTES);
  });

  test("a side that sends beyond its credit is cut off", () => {
    const { stream, sent, errors } = alone();
    stream.hear({ kind: "data" }, new Uint8Array(WINDOW_BYTES));
    stream.hear({ kind: "data" }, new Uint8Array(1));
    expect(stream.destroyed).toBe(true);
    expect(sent.at(-1)?.piece.kind).toBe("reset");
    return settled().then(() => expect(errors[0]?.name).toBe("StreamProtocolError"));
  });

  test("credit for what was never sent cuts off too", () => {
    const { stream } = alone();
    stream.hear({ kind: "credit", bytes: 1 }, NOTHING);
    expect(stream.destroyed).toBe(true);
  });
});

describe("an end that is not one", () => {
  test("a destroyed stream tells the other side why, once", async () => {
    const { stream, sent } = alone();
    stream.destroy(new Error("no longer wanted"));
    stream.destroy(new Error("again"));
    await settled();
    expect(sent.map(({ piece }) => piece)).toEqual([
      { kind: "reset", message: "no longer wanted" },
    ]);
  });

  test("a reset is not answered with another", async () => {
    const { stream, sent, errors } = alone();
    stream.hear({ kind: "reset", message: "gone" }, NOTHING);
    await settled();
    expect(sent).toEqual([]);
    expect(errors.map(({ name, message }) => [name, message])).toEqual([
      ["StreamResetError", "gone"],
    ]);
  });

  test("a write that waits for credit fails with the stream", async () => {
    const { stream } = alone();
    const writing = pipeline(Readable.from([Buffer.alloc(2 * WINDOW_BYTES)]), stream);
    await settled();
    stream.hear({ kind: "reset", message: "gone" }, NOTHING);
    await expect(writing).rejects.toThrow("gone");
  });

  test("what was sent to its end can be read after the other side has gone, where asked", async () => {
    const { stream } = alone(true);
    stream.hear({ kind: "data" }, Buffer.from("whole"));
    stream.hear({ kind: "end" }, NOTHING);
    stream.hear({ kind: "reset", message: "gone" }, NOTHING);
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    await settled();
    expect(Buffer.concat(parts).toString()).toBe("whole");
  });

  test("half of something is not read after the other side has gone", async () => {
    const { stream } = alone(true);
    stream.hear({ kind: "data" }, Buffer.from("half"));
    stream.hear({ kind: "reset", message: "gone" }, NOTHING);
    await expect(text(stream)).rejects.toThrow();
  });

  test("what comes after an end, or after the stream, is dropped", async () => {
    const { stream } = alone();
    stream.hear({ kind: "end" }, NOTHING);
    stream.hear({ kind: "data" }, Buffer.from("late"));
    expect(await text(stream)).toBe("");
    stream.destroy();
    stream.hear({ kind: "data" }, Buffer.from("later"));
  });
});

describe("pieces from a container", () => {
  test("are known by their fields, and nothing else of them is kept", () => {
    expect(pieceOf({ kind: "data", more: 1 })).toEqual({ kind: "data" });
    expect(pieceOf({ kind: "credit", bytes: 5 })).toEqual({ kind: "credit", bytes: 5 });
    const head = { kind: "head", status: 200, headers: [["a", "b"]] };
    expect(pieceOf(head)).toEqual(head);
  });

  test.each([
    undefined,
    null,
    7,
    "data",
    {},
    { kind: "other" },
    { kind: "credit" },
    { kind: "credit", bytes: -1 },
    { kind: "credit", bytes: 1.5 },
    { kind: "credit", bytes: "5" },
    { kind: "head", status: "200", headers: [] },
    { kind: "head", status: 99, headers: [] },
    { kind: "head", status: 1_000, headers: [] },
    { kind: "head", status: 200 },
    { kind: "head", status: 200, headers: [["a"]] },
    { kind: "head", status: 200, headers: [["a", 1]] },
    { kind: "head", status: 200, headers: [["a", "b".repeat(70_000)]] },
    { kind: "head", status: 200, headers: Array.from({ length: 201 }, () => ["a", "b"]) },
  ])("refuses %j", (value) => {
    expect(pieceOf(value)).toBeUndefined();
  });
});
