import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue, SerializationError } from "./values.ts";

const roundTrip = (value: unknown): unknown => decodeValue(encodeValue(value));
const JSON_ENCODING = 1;
const TAGGED_ENCODING = 2;

describe("what JSON carries", () => {
  test("any JSON value comes back equal, as JSON on the wire", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5, stringUnit: "binary" }), (value) => {
        const clean: unknown = JSON.parse(JSON.stringify(value));
        const bytes = encodeValue(clean);
        expect(bytes[0]).toBe(JSON_ENCODING);
        expect(decodeValue(bytes)).toEqual(clean);
      }),
    );
  });

  test("an object with a key __proto__ keeps it as a plain property", () => {
    const value: unknown = JSON.parse('{"__proto__":{"polluted":true},"a":1}');
    const back = roundTrip(value) as Record<string, unknown>;
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype);
    expect(Object.keys(back)).toEqual(["__proto__", "a"]);
  });
});

describe("what structured clone carries and JSON does not", () => {
  const cases: readonly [string, unknown][] = [
    ["undefined", undefined],
    ["NaN", NaN],
    ["minus infinity", -Infinity],
    ["minus zero", -0],
    ["a big integer", 2n ** 200n],
    ["a negative big integer", -12345678901234567890n],
    ["a date", new Date(1_700_000_000_123)],
    ["an invalid date", new Date(NaN)],
    ["a pattern", /a+\/b/giu],
    [
      "a map",
      new Map<unknown, unknown>([
        ["a", 1],
        [{ k: 1 }, new Set([1, "x"])],
      ]),
    ],
    ["a set", new Set([1, undefined, "x"])],
    ["a property that is undefined", { a: undefined }],
    ["a sparse array", sparse()],
    ["half of a surrogate pair", { a: undefined, b: "x\ud800y", "\udfff": 1 }],
    ["a wrapped number", [new Number(5)]],
    ["a wrapped text", [new String("x")]],
    ["a wrapped boolean", [new Boolean(false)]],
    ["an address", new URL("https://example.test/a?b=c#d")],
    ["an array buffer", new Uint8Array([1, 2, 3]).buffer],
    ["a data view", new DataView(new Uint8Array([9, 8, 7]).buffer, 1)],
    ["numbers at the edges of 32 bits", [undefined, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, -1, 0.5]],
    ["long text", [undefined, "ä".repeat(1_000)]],
  ];
  test.each(cases)("%s comes back equal", (_name, value) => {
    const bytes = encodeValue(value);
    expect(bytes[0]).toBe(TAGGED_ENCODING);
    expect(decodeValue(bytes)).toStrictEqual(value);
  });

  test("every kind of typed array comes back with its own bytes only", () => {
    const kinds = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
    ];
    for (const Kind of kinds) {
      const all = new Kind([1, 2, 3, 4]);
      const back = roundTrip(all.subarray(1, 3)) as typeof all;
      expect(back).toStrictEqual(new Kind([2, 3]));
      expect(back.buffer.byteLength).toBe(2 * Kind.BYTES_PER_ELEMENT);
    }
    expect(roundTrip(new BigInt64Array([-1n, 5n]))).toStrictEqual(new BigInt64Array([-1n, 5n]));
  });

  test("bytes are sent raw, not as text", () => {
    expect(encodeValue(new Uint8Array(100_000)).byteLength).toBeLessThan(100_010);
  });

  test("an error comes back with its name, message, stack and cause", () => {
    const cause = new Error("inner");
    const error = new RangeError("outer", { cause });
    const back = roundTrip(error) as RangeError;
    expect(back).toBeInstanceOf(RangeError);
    expect(back).toMatchObject({ name: "RangeError", message: "outer", stack: error.stack });
    expect(back.cause).toMatchObject({ message: "inner", stack: cause.stack });
  });

  test("an error of the user's own class keeps its name", () => {
    class QuotaError extends Error {
      override name = "QuotaError";
    }
    expect(roundTrip(new QuotaError("no"))).toMatchObject({ name: "QuotaError", message: "no" });
  });

  test("an error with several errors keeps them", () => {
    const back = roundTrip(new AggregateError([new TypeError("a")], "all")) as AggregateError;
    expect(back.errors).toHaveLength(1);
    expect(back.errors[0]).toBeInstanceOf(TypeError);
  });

  test("objects that are shared stay shared, and cycles stay cycles", () => {
    const shared = { a: 1 };
    const [first, second] = roundTrip([shared, shared]) as object[];
    expect(first).toBe(second);
    const loop: { self?: unknown; list: unknown[] } = { list: [] };
    loop.self = loop;
    loop.list.push(loop.list, loop);
    const back = roundTrip(loop) as typeof loop;
    expect(back.self).toBe(back);
    expect(back.list[0]).toBe(back.list);
    expect(back.list[1]).toBe(back);
  });

  test("a huge but empty array costs little", () => {
    const sparse: number[] = [];
    sparse[4_000_000_000] = 1;
    const bytes = encodeValue(sparse);
    expect(bytes.byteLength).toBeLessThan(20);
    expect((decodeValue(bytes) as number[]).length).toBe(4_000_000_001);
  });

  test("a class instance comes back as a plain object of its own properties", () => {
    class Point {
      x = 1;
      get double(): number {
        return this.x * 2;
      }
    }
    expect(roundTrip(new Point())).toStrictEqual({ x: 1 });
  });

  test("an object is not asked how it wants to look in JSON", () => {
    const value = { at: Object.assign(Object.create({ toJSON: () => "no" }) as object, { a: 1 }) };
    expect(roundTrip(value)).toEqual({ at: { a: 1 } });
  });

  test("anything comes back equal", () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
      stringUnit: "binary",
      maxDepth: 4,
    });
    fc.assert(
      fc.property(anything, (value) => {
        const back = roundTrip(value);
        expect(back).toEqual(value);
        expect(encodeValue(back)).toEqual(encodeValue(structuredClone(value)));
      }),
      { numRuns: 500 },
    );
  });
});

describe("what cannot be sent", () => {
  const check = (value: unknown, message: string | RegExp): void => {
    expect(() => encodeValue(value, "args")).toThrow(message);
    expect(() => encodeValue(value, "args")).toThrow(SerializationError);
  };

  test("the message names the path", () => {
    check([{ cb: () => 1 }], "args[0].cb is a function, which cannot be sent");
    check([{ "a b": Symbol("s") }], 'args[0]["a b"] is a symbol, which cannot be sent');
    check([Promise.resolve(1)], "args[0] is a Promise, which cannot be sent");
    check([new Map([["k", new WeakMap()]])], 'args[0].get("k") is a WeakMap');
    check([new Set([1, () => 1])], "args[0]<item 1> is a function");
    check([new SharedArrayBuffer(4)], "args[0] is a SharedArrayBuffer");
  });

  test("a getter that throws is named", () => {
    const broken = {
      get x(): number {
        throw new Error("no");
      },
    };
    check([broken], /args\[0\].* cannot be read/);
  });

  test("too deep a value is refused, a deep one is not", () => {
    const nested = (depth: number): unknown => {
      let value: unknown = 1;
      for (let level = 0; level < depth; level++) value = [value];
      return value;
    };
    check(nested(1_001), /nests deeper than 1000/);
    expect(roundTrip(nested(1_000))).toEqual(nested(1_000));
    expect(() => roundTrip([undefined, nested(999)])).not.toThrow();
  });
});

describe("hostile bytes", () => {
  test("bytes cut anywhere are refused", () => {
    const bytes = encodeValue({ a: [1, undefined, "text", new Map([[1, new Date(0)]])] });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeValue(bytes.subarray(0, length))).toThrow(SerializationError);
    }
  });

  test("random bytes give a value or a SerializationError, never anything else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.constantFrom(1, 2), (bytes, encoding) => {
        try {
          decodeValue(Uint8Array.of(encoding, ...bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(SerializationError);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test("changed bytes give a value or a SerializationError, never anything else", () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }) });
    fc.assert(
      fc.property(fc.anything({ withMap: true, withSet: true }), change, (value, { at, to }) => {
        fc.pre(isSendable(value));
        const bytes = encodeValue([undefined, value]);
        bytes[at % bytes.length] = to;
        try {
          decodeValue(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SerializationError);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test("a property __proto__ never reaches a prototype", () => {
    const value = Object.create(null) as Record<string, unknown>;
    Object.defineProperty(value, "__proto__", {
      value: { polluted: undefined },
      enumerable: true,
    });
    const back = roundTrip({ value }) as { value: object };
    expect(Object.getPrototypeOf(back.value)).toBe(Object.prototype);
    expect(Object.hasOwn(back.value, "__proto__")).toBe(true);
    expect("polluted" in {}).toBe(false);
  });

  test("deep nesting is refused in both encodings", () => {
    const deepJson = new TextEncoder().encode("\u0001" + "[".repeat(50_000) + "]".repeat(50_000));
    expect(() => decodeValue(deepJson)).toThrow(/nests deeper/);
    const oneItemArrays = Array.from({ length: 50_000 }, () => [11, 1]).flat();
    expect(() => decodeValue(Uint8Array.of(2, ...oneItemArrays, 0))).toThrow(/nests deeper/);
  });

  test("brackets within text are no nesting", () => {
    const value = ["[".repeat(5_000), '\\"{'.repeat(3_000)];
    expect(roundTrip(value)).toEqual(value);
  });

  test("a count larger than the payload is refused before anything is built", () => {
    expect(() => decodeValue(Uint8Array.of(2, 11, 0xff, 0xff, 0xff, 0xff, 0x0f))).toThrow(
      /cut short/,
    );
  });

  test("an unknown encoding is named", () => {
    expect(() => decodeValue(Uint8Array.of(77, 1))).toThrow(/encoding 77 is unknown/);
    expect(() => decodeValue(new Uint8Array(0))).toThrow(/empty/);
  });
});

function sparse(): number[] {
  const items = [1];
  items[2] = 3;
  return items;
}

function isSendable(value: unknown): boolean {
  try {
    encodeValue(value);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(SerializationError);
    return false;
  }
}
