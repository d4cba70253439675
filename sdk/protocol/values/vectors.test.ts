/**
 * The wire format, pinned: `vectors.json` holds the bytes of named values, and this test and that
 * of the Python codec (sandbox/runners/python/tests/test_vectors.py) hold both codecs to them.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeValue, encodeValue, NdArray } from "../values.ts";

interface Vector {
  readonly name: string;
  /** The payload in hexadecimal. */
  readonly bytes: string;
  /** What Python makes of it when it sends it back, where that differs. */
  readonly back?: string;
}

interface Vectors {
  /** Made by JavaScript, read by Python and sent back. */
  readonly fromJavaScript: readonly Vector[];
  /** Made by Python, read by JavaScript. */
  readonly fromPython: readonly Vector[];
}

const vectors = JSON.parse(
  readFileSync(new URL("./vectors.json", import.meta.url), "utf8"),
) as Vectors;

/** Tells the two apart: a property that makes a value no plain JSON, so that it is tagged. */
const tagged = (value: unknown): unknown => [undefined, value];

function shared(): unknown {
  const row = [1];
  return { first: row, second: row };
}

function cycle(): unknown {
  const node: Record<string, unknown> = { name: "a" };
  node["self"] = node;
  return node;
}

function sparse(): unknown {
  const items: unknown[] = [1];
  items[3] = 4;
  return items;
}

function failure(): Error {
  const error = new RangeError("too far", { cause: new Error("the wind") });
  error.stack = "RangeError: too far\n    at walk";
  (error.cause as Error).stack = "Error: the wind";
  return error;
}

function failures(): Error {
  const error = new AggregateError([new TypeError("one")], "all of them");
  error.stack = "x";
  (error.errors as Error[])[0]!.stack = "y";
  return error;
}

const FROM_JAVASCRIPT: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["plain JSON", { a: [1, 2.5, "ü€🚢", true, null], __proto: {} }],
  ["numbers of JSON at their edges", [2 ** 53 - 1, -(2 ** 53 - 1), 2 ** 53, 1e20, 1e21, 5e-324]],
  ["half a surrogate pair in JSON", "x\ud800"],
  ["undefined", undefined],
  ["null beside undefined", tagged(null)],
  ["truth", tagged([true, false])],
  ["whole numbers of 32 bits", tagged([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)])],
  ["whole numbers above 32 bits", tagged([2 ** 31, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 60])],
  ["fractions", tagged([0.1, -1.5, 5e-324, 1.7976931348623157e308])],
  ["minus zero", -0],
  ["infinities", [Infinity, -Infinity]],
  ["text", tagged(["", "abc", "ü€🚢", "\0"])],
  ["long text", tagged("ä".repeat(100))],
  ["half a surrogate pair", tagged("\udfffx\ud800")],
  ["big integers", [2n ** 64n, -(2n ** 200n)]],
  ["a small big integer", 5n],
  ["a date", new Date(1_700_000_000_123)],
  ["a date before 1970", new Date(-1)],
  ["a pattern", /a+\/(?<year>\d)/giu],
  ["an array with a hole", sparse()],
  ["an object", tagged({ a: 1, "b c": [], __proto__x: {} })],
  ["a map of texts", new Map([["a", 1]])],
  [
    "a map of others",
    new Map<unknown, unknown>([
      [1, "one"],
      [null, [2]],
    ]),
  ],
  ["a set", new Set(["only"])],
  ["bytes", new Uint8Array([0, 1, 255])],
  ["an array buffer", new Uint8Array([9, 8]).buffer],
  ["clamped bytes", new Uint8ClampedArray([7])],
  ["a data view", new DataView(new Uint8Array([9, 8, 7]).buffer, 1)],
  ["an error", failure()],
  ["an error of many", failures()],
  ["one list twice", shared()],
  ["a cycle", cycle()],
  ["a wrapped number", new Number(5)],
  ["an address", new URL("https://example.test/a?b=c#d")],
  ["int8", new Int8Array([-128, 127])],
  ["int16", new Int16Array([-32768, 1])],
  ["uint16", new Uint16Array([65535, 1])],
  ["int32", new Int32Array([-5, 5])],
  ["uint32", new Uint32Array([4_294_967_295])],
  ["float32", new Float32Array([0.5, -1])],
  ["float64", new Float64Array([0.1])],
  ["int64", new BigInt64Array([-1n])],
  ["uint64", new BigUint64Array([2n ** 64n - 1n])],
  ["a matrix", new NdArray(new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3])],
  ["an image", new NdArray(new Uint8Array([1, 2, 3, 4, 5, 6]), [1, 2, 3])],
]);

const FROM_PYTHON: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["None", null],
  ["a tuple", [1, [2, "x"]]],
  ["a float that is whole", [1, 2.5]],
  ["a dict of numbers", new Map([[1, "a"]])],
  ["a large int", 2n ** 70n],
  ["a named tuple", [1, 2]],
  ["a dataclass", { x: 1, tags: new Set(["a"]) }],
  ["a whole enum", [2]],
  ["a bytearray", new Uint8Array([1, 2])],
  ["a naive time in UTC", new Date(0)],
  ["an aware time", new Date(3_600_000)],
  ["a pattern of Python", /(?<y>a)/i],
  ["an array.array", new Float32Array([1.5])],
  ["a table of bytes", new NdArray(new Uint8Array([1, 2, 3, 4]), [2, 2])],
  ["the same list twice", shared()],
  ["equal tuples", { first: [1], second: [1] }],
  ["NaN in a list", [NaN]],
]);

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "hex"));

describe("values that JavaScript sends", () => {
  test("each has its bytes in the file", () => {
    expect(vectors.fromJavaScript.map(({ name }) => name)).toEqual([...FROM_JAVASCRIPT.keys()]);
  });

  test.each(vectors.fromJavaScript)("$name: as the file says, both ways", ({ name, bytes }) => {
    const value = FROM_JAVASCRIPT.get(name);
    expect(hex(encodeValue(value))).toBe(bytes);
    expect(decodeValue(unhex(bytes))).toStrictEqual(value);
  });
});

describe("values that Python sends", () => {
  test("each has its bytes in the file", () => {
    expect(vectors.fromPython.map(({ name }) => name)).toEqual([...FROM_PYTHON.keys()]);
  });

  test.each(vectors.fromPython)("$name: comes as it should", ({ name, bytes }) => {
    expect(decodeValue(unhex(bytes))).toStrictEqual(FROM_PYTHON.get(name));
  });

  test.each(vectors.fromJavaScript.filter(({ back }) => back !== undefined))(
    "$name: comes back as something else that can be read",
    ({ bytes, back = "" }) => {
      expect(back).not.toBe(bytes);
      expect(() => decodeValue(unhex(back))).not.toThrow();
    },
  );
});
