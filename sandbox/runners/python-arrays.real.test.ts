/** Arrays of numpy to TypeScript and back: type, shape and every bit. */
import { beforeAll, expect, test, type TestContext } from "vitest";
import { decodeValue, encodeValue, NdArray } from "../../sdk/protocol/index.ts";
import { pythonPackages } from "./test-python-packages.ts";
import { useTestPython } from "./test-python-runner.ts";

const current = useTestPython();
let packages: string | undefined;
beforeAll(async () => {
  packages = await pythonPackages("numpy==2.2.6");
});

async function boot({ skip }: TestContext, handler: string, source: string): Promise<void> {
  if (packages === undefined) skip("numpy cannot be installed here");
  const env = { PYTHONPATH: packages ?? "" };
  expect(await current.boot(handler, source, { env })).toMatchObject({ type: "ready" });
}

async function call(argument: unknown): Promise<unknown> {
  const inputId = `i${current.runner.answers.length}`;
  current.runner.give({ [inputId]: argument });
  const { error, payload } = await current.runner.answer(inputId);
  expect(error).toBeUndefined();
  return decodeValue(payload);
}

const DTYPES = [
  ["bool", new Uint8Array([0, 1, 1, 0, 1, 0])],
  ["int8", new Int8Array([-128, 0, 1, 2, 3, 127])],
  ["uint8", new Uint8Array([0, 1, 2, 3, 4, 255])],
  ["int16", new Int16Array([-32768, 0, 1, 2, 3, 32767])],
  ["uint16", new Uint16Array([0, 1, 2, 3, 4, 65535])],
  ["int32", new Int32Array([-(2 ** 31), 0, 1, 2, 3, 2 ** 31 - 1])],
  ["uint32", new Uint32Array([0, 1, 2, 3, 4, 2 ** 32 - 1])],
  ["int64", new BigInt64Array([-(2n ** 63n), 0n, 1n, 2n, 3n, 2n ** 63n - 1n])],
  ["uint64", new BigUint64Array([0n, 1n, 2n, 3n, 4n, 2n ** 64n - 1n])],
  ["float32", new Float32Array([0.1, NaN, -0, Infinity, 1e-45, -1])],
  ["float64", new Float64Array([0.1, NaN, -0, Infinity, 5e-324, -1])],
  ["complex64", new Float32Array(12).map((_, index) => index / 3)],
  ["complex128", new Float64Array(12).map((_, index) => index / 3)],
] as const;

test("an array with a shape arrives as that ndarray, and comes back bit for bit", async (context) => {
  await boot(
    context,
    "f",
    `import numpy
def f(a):
    assert isinstance(a, numpy.ndarray) and a.flags.writeable and a.flags.c_contiguous
    return [a.dtype.name, list(a.shape), a, numpy.asfortranarray(a), a[:, ::-1][:, ::-1]]
`,
  );
  for (const [dtype, data] of DTYPES) {
    const array = new NdArray(data, [2, 3], dtype);
    expect(await call(array)).toStrictEqual([dtype, [2, 3], array, array, array]);
  }
});

test("one dimension is a typed array on the other side, and no dimension is a shape of none", async (context) => {
  await boot(context, "f", "def f(a): return [type(a).__name__, getattr(a, 'shape', None), a]\n");
  for (const data of [new Float32Array([1.5]), new BigInt64Array([-1n]), new Int16Array(0)]) {
    expect(await call(data)).toStrictEqual(["ndarray", [data.length], data]);
  }
  expect(await call(new Uint8Array([1]))).toStrictEqual(["bytes", null, new Uint8Array([1])]);
  const one = new NdArray(new Float64Array([2.5]), []);
  expect(await call(one)).toStrictEqual(["ndarray", [], one]);
  const none = new NdArray(new Float32Array(0), [0, 3]);
  expect(await call(none)).toStrictEqual(["ndarray", [0, 3], none]);
});

test("half floats have a type of their own", async (context) => {
  await boot(
    context,
    "f",
    "import numpy\ndef f(a): return numpy.array([[1.5, -2]], dtype='float16')\n",
  );
  const half = (await call(0)) as NdArray;
  expect(half).toMatchObject({ dtype: "float16", shape: [1, 2] });
  expect(half.data.BYTES_PER_ELEMENT).toBe(2);
  expect(decodeValue(encodeValue(half))).toStrictEqual(half);
});

test("scalars are numbers, big-endian arrays are turned, and what is no number says so", async (context) => {
  await boot(
    context,
    "f",
    `import numpy as np
def f(name):
    return {
        "scalars": lambda: [np.float32(0.5), np.int64(-7), np.bool_(True), np.str_("x")],
        "swapped": lambda: np.array([1, 256], dtype=">u2"),
        "objects": lambda: {"rows": [np.array([object()])]},
        "texts": lambda: np.array(["a"]),
        "times": lambda: np.array(["2024-01-01"], dtype="datetime64[s]"),
        "records": lambda: np.zeros(1, dtype=[("x", "f4")]),
    }[name]()
`,
  );
  expect(await call("scalars")).toStrictEqual([0.5, -7, true, "x"]);
  expect(await call("swapped")).toStrictEqual(new Uint16Array([1, 256]));
  for (const name of ["objects", "texts", "times", "records"]) {
    current.runner.give({ [name]: name });
    const { error } = await current.runner.answer(name);
    expect(error).toMatchObject({ code: "not_serializable" });
    expect(error?.message).toMatch(/^result.* is an ndarray of .*\.astype\(\) or \.tolist\(\)/);
  }
});

test("ten megabytes pass as raw bytes", async (context) => {
  await boot(context, "f", "def f(a): return a * 2\n");
  const array = new NdArray(new Float32Array(2_500_000).fill(1.5), [50, 50_000]);
  expect(encodeValue([array]).byteLength).toBeLessThan(10_000_050);
  const back = (await call(array)) as NdArray<Float32Array>;
  expect(back.shape).toEqual([50, 50_000]);
  expect(back.data.every((value) => value === 3)).toBe(true);
});

test("a generator yields arrays as raw bytes, of memory that it uses again", async (context) => {
  const source = `import numpy
def f(to):
    a = numpy.zeros((2, 3), "float32")
    for value in range(int(to)):
        a += 1
        yield a
`;
  await boot(context, "f", source);
  current.runner.give({ a: 3 }, { skip: 0 });
  const values = await current.runner.valuesOf("a", 3);
  const arrays = [1, 2, 3].map((value) => new NdArray(new Float32Array(6).fill(value), [2, 3]));
  expect(values.map(({ payload }) => decodeValue(payload))).toStrictEqual(arrays);
});
