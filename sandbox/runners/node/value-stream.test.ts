import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeSegments, decodeValue, encodeValue } from "../../../sdk/protocol/index.ts";
import { iteratorOf, ValueStream } from "./value-stream.ts";

interface Sent {
  readonly sequence: number;
  readonly value: unknown;
}

const MIB = 1024 * 1024;

/** Stands for a payload that is kept elsewhere. */
const STORED = encodeValue("stored");

type Store = ConstructorParameters<typeof ValueStream>[0]["store"];

const storeAtOnce: Store = () => Promise.resolve(STORED);

function bench({ skip = 0, store = storeAtOnce }: { skip?: number; store?: Store } = {}) {
  const sent: Sent[] = [];
  const controller = new AbortController();
  const stream = new ValueStream({
    skip,
    store,
    signal: controller.signal,
    send: (sequence, payload) => sent.push({ sequence, value: decodeValue(payload) }),
  });
  return { sent, controller, stream };
}

async function* count(to: number, log: string[] = []): AsyncGenerator<number, string> {
  try {
    for (let value = 0; value < to; value += 1) yield await Promise.resolve(value);
    return "done";
  } finally {
    log.push("finally");
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

describe("a stream of values", () => {
  test("sends each value with its position and gives what the generator returns", async () => {
    const { sent, stream } = bench();
    expect(await stream.drain(count(3))).toBe("done");
    expect(sent).toEqual([0, 1, 2].map((value) => ({ sequence: value, value })));
  });

  test("runs a window ahead of its reader and no further", async () => {
    const { sent, stream } = bench();
    const draining = stream.drain(count(100));
    await settled();
    expect(sent).toHaveLength(32);
    stream.consume(1);
    await settled();
    expect(sent).toHaveLength(33);
    stream.consume(33);
    await settled();
    expect(sent).toHaveLength(65);
    stream.consume(65);
    await settled();
    stream.consume(97);
    expect(await draining).toBe("done");
  });

  test("sends large values one by one", async () => {
    const { sent, stream } = bench();
    function* large(): Generator<Uint8Array> {
      for (;;) yield new Uint8Array(9 * MIB);
    }
    void stream.drain(large()).catch(() => undefined);
    await settled();
    expect(sent).toHaveLength(1);
    stream.consume(1);
    await settled();
    expect(sent).toHaveLength(2);
  });

  test("ends the generator where it is when nobody wants more", async () => {
    const { sent, stream, controller } = bench();
    const log: string[] = [];
    const draining = stream.drain(count(100, log));
    await settled();
    controller.abort(new Error("enough"));
    await expect(draining).rejects.toThrow("enough");
    expect(log).toEqual(["finally"]);
    expect(sent).toHaveLength(32);
  });

  test("ends the generator when a value cannot be sent, and says which", async () => {
    const { stream } = bench();
    const log: string[] = [];
    async function* broken(): AsyncGenerator {
      try {
        yield await Promise.resolve(1);
        yield () => 2;
      } finally {
        log.push("finally");
      }
    }
    await expect(stream.drain(broken())).rejects.toThrow(/value 1 is a function/);
    expect(log).toEqual(["finally"]);
  });

  test("stores what is larger than a frame first, each once the one before was read", async () => {
    const stored: unknown[] = [];
    const store: Store = (segments) => {
      stored.push((decodeSegments(segments) as Uint8Array)[0]);
      return storeAtOnce(segments, new AbortController().signal);
    };
    const { sent, stream } = bench({ store });
    function* large(): Generator<Uint8Array> {
      const memory = new Uint8Array(17 * MIB);
      for (let value = 0; value < 3; value += 1) yield memory.fill(value);
    }
    const draining = stream.drain(large());
    for (const position of [0, 1, 2]) {
      await settled();
      expect(stored).toEqual([0, 1, 2].slice(0, position + 1));
      expect(sent.at(-1)).toEqual({ sequence: position, value: "stored" });
      stream.consume(position + 1);
    }
    await draining;
    expect(sent).toHaveLength(3);
  });

  test("sends a value after those before it, however long they take to be stored", async () => {
    let finish: (reference: Uint8Array) => void = () => undefined;
    const store: Store = () => new Promise((resolve) => (finish = resolve));
    const { sent, stream } = bench({ store });
    const log: string[] = [];
    function* mixed(): Generator {
      yield 1;
      yield new Uint8Array(17 * MIB);
      log.push("went on");
      yield 3;
    }
    const draining = stream.drain(mixed());
    await settled();
    // Whoever yields may write to the same memory again: only once it is stored.
    expect([sent.length, log]).toEqual([1, []]);
    finish(STORED);
    await settled();
    expect([sent.length, log]).toEqual([2, []]);
    stream.consume(2);
    await settled();
    expect(log).toEqual(["went on"]);
    await draining;
    expect(sent.map(({ value }) => value)).toEqual([1, "stored", 3]);
  });

  test("ends the generator when a large value cannot be stored, or is wanted no more", async () => {
    for (const isAborted of [false, true]) {
      const log: string[] = [];
      const store: Store = async (_, signal) => {
        if (!isAborted) throw new Error("the store is away");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        throw signal.reason;
      };
      const { sent, stream, controller } = bench({ store });
      async function* large(): AsyncGenerator<Uint8Array> {
        try {
          yield await Promise.resolve(new Uint8Array(17 * MIB));
        } finally {
          log.push("finally");
        }
      }
      const draining = stream.drain(large()).catch(String);
      await settled();
      controller.abort(new Error("enough"));
      expect(await draining).toBe(`Error: ${isAborted ? "enough" : "the store is away"}`);
      expect([sent.length, log]).toEqual([0, ["finally"]]);
    }
  });

  test("stores nothing of what the reader has already", async () => {
    let storedCount = 0;
    const store: Store = (segments, signal) => {
      storedCount += 1;
      return storeAtOnce(segments, signal);
    };
    const { sent, stream } = bench({ skip: 2, store });
    function* large(): Generator<Uint8Array> {
      const memory = new Uint8Array(17 * MIB);
      for (let value = 0; value < 3; value += 1) yield memory;
    }
    const draining = stream.drain(large());
    await settled();
    stream.consume(3);
    await draining;
    expect([storedCount, sent.map(({ sequence }) => sequence)]).toEqual([1, [2]]);
  });

  test("passes on what the generator throws", async () => {
    const { stream, sent } = bench();
    function* thrower(): Generator<number> {
      yield 1;
      throw new RangeError("two");
    }
    await expect(stream.drain(thrower())).rejects.toThrow(RangeError);
    expect(sent).toHaveLength(1);
  });

  test("over any breaks the reader gets each value once, in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(120),
        fc.array(fc.nat(60), { maxLength: 5 }),
        async (total, breaks) => {
          const ledger: unknown[] = [];
          for (const lostAfter of [...breaks, Infinity]) {
            const controller = new AbortController();
            let seen = 0;
            const stream: ValueStream = new ValueStream({
              skip: ledger.length,
              store: storeAtOnce,
              signal: controller.signal,
              send: (sequence, payload) => {
                if (seen >= lostAfter) {
                  controller.abort(new Error("lost"));
                  return;
                }
                seen += 1;
                if (sequence === ledger.length) ledger.push(decodeValue(payload));
                stream.consume(ledger.length);
              },
            });
            await stream.drain(count(total)).catch(() => undefined);
          }
          expect(ledger).toEqual(Array.from({ length: total }, (_, value) => value));
        },
      ),
      { numRuns: 100 },
    );
  });
});

test("only generators are streams", () => {
  expect(iteratorOf(count(1))).toBeDefined();
  expect(iteratorOf((function* () {})())).toBeDefined();
  for (const value of [[1], new Map(), "text", null, undefined, { next: () => 1 }]) {
    expect(iteratorOf(value)).toBeUndefined();
  }
});
