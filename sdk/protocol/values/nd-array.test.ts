import { expect, test } from "vitest";
import { decodeValue, encodeValue, NdArray, SerializationError } from "../values.ts";

test("an array knows its type by its data, except where two share one", () => {
  expect(new NdArray(new Float32Array(6), [2, 3]).dtype).toBe("float32");
  expect(new NdArray(new Uint8Array(2), [2]).dtype).toBe("uint8");
  expect(new NdArray(new Uint8Array(2), [2], "bool").dtype).toBe("bool");
  expect(new NdArray(new Float64Array(4), [2], "complex128").dtype).toBe("complex128");
});

test.each<[string, () => unknown, RegExp]>([
  ["too few numbers", () => new NdArray(new Float32Array(5), [2, 3]), /has 6 numbers, got 5/],
  ["half a complex one", () => new NdArray(new Float32Array(3), [2], "complex64"), /4 numbers/],
  ["other data", () => new NdArray(new Float32Array(1), [1], "int8"), /int8 holds a Int8Array/],
  ["a shape below 0", () => new NdArray(new Float32Array(1), [-1, -1]), /at least 0/],
  ["65 dimensions", () => new NdArray(new Float32Array(1), Array(65).fill(1)), /at most 64/],
  [
    "an unknown type",
    () => new NdArray(new Int8Array(1), [1], "int7" as "int8"),
    /no dtype "int7"/,
  ],
  [
    "bytes without a type",
    () => new NdArray(new DataView(new ArrayBuffer(1)) as never, [1]),
    /DataView/,
  ],
])("%s is refused", (_, make, message) => {
  expect(make).toThrow(SerializationError);
  expect(make).toThrow(message);
});

test("of a view only its own part is sent, and one is shared where it was", () => {
  const array = new NdArray(new Float32Array([9, 1, 2, 9]).subarray(1, 3), [1, 2]);
  const [first, second] = decodeValue(encodeValue([array, array])) as [NdArray, NdArray];
  expect(first).toStrictEqual(new NdArray(new Float32Array([1, 2]), [1, 2]));
  expect(second).toBe(first);
});

test("one that was changed until it fits no more says where it is", () => {
  const array = new NdArray(new Float32Array(2), [2]);
  (array as { shape: readonly number[] }).shape = [3];
  expect(() => encodeValue({ rows: [array] }, "args")).toThrow(/^args\.rows\[0\] cannot be sent: /);
});

test("one of another copy of this package is known all the same", () => {
  const other = { dtype: "int8", shape: [1, 1], data: new Int8Array([5]) };
  Object.defineProperty(other, Symbol.toStringTag, { value: "NdArray" });
  expect(decodeValue(encodeValue(other))).toStrictEqual(new NdArray(new Int8Array([5]), [1, 1]));
});
