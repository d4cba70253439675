import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeValue, PAYLOAD_BYTES_MAX } from "../../sdk/protocol/index.ts";
import { findPython } from "../runtime/python-launch.ts";
import { useTestPython } from "./test-python-runner.ts";

const SOURCES = fileURLToPath(new URL("./python", import.meta.url));
const current = useTestPython();

const valueOf = async (inputId: string): Promise<unknown> => {
  const answer = await current.runner.answer(inputId);
  expect(answer).toMatchObject({ outcome: "succeeded" });
  return decodeValue(answer.payload);
};

test("the modules pass their own tests", async () => {
  const python = await findPython();
  expect(python).toBeDefined();
  const args = ["-W", "error", "-m", "unittest", "discover", "-s", "tests", "-t", "."];
  const env = { PYTHONDONTWRITEBYTECODE: "1", TZ: "UTC" };
  const { stderr } = await promisify(execFile)(python ?? "", args, { cwd: SOURCES, env });
  expect(stderr).toMatch(/\nOK/);
});

describe("loading", () => {
  test("a module is loaded with exactly the environment that it was given", async () => {
    const source = "import os\ndef env(_): return dict(os.environ)\n";
    expect(await current.boot("env", source, { env: { MODE: "test" } })).toMatchObject({
      type: "ready",
    });
    current.runner.give({ a: 0 });
    expect(await valueOf("a")).toEqual({ MODE: "test" });
  });

  test("no event loop is loaded for a function that does not run in one", async () => {
    const source = `
import sys
def f(_): return [name in sys.modules for name in ("asyncio", "ssl", "decimal")]
`;
    await current.boot("f", source);
    current.runner.give({ a: [] });
    expect(await valueOf("a")).toEqual([false, false, false]);
  });

  test("a module finds the others of its archive, and those that PYTHONPATH names", async () => {
    const files = { "parts/__init__.py": "", "parts/sums.py": "def add(a): return a + 1\n" };
    const source = "from parts.sums import add\nimport sys\ndef f(a): return [add(a), sys.path]\n";
    await current.boot("f", source, { files, env: { PYTHONPATH: "/opt/one:/opt/two" } });
    current.runner.give({ a: 1 });
    expect(await valueOf("a")).toEqual([2, expect.arrayContaining(["/opt/one", "/opt/two"])]);
  });

  test("a method of a class is called on one instance, made once", async () => {
    const source = `
class Model:
    def __init__(self): self.calls = 0
    def predict(self, x):
        self.calls += 1
        return [x, self.calls]
`;
    await current.boot("Model.predict", source);
    current.runner.give({ a: 1, b: 2 });
    expect([await valueOf("a"), await valueOf("b")]).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test("hooks run before the first input, those of snapshots first, methods on the instance", async () => {
    const source = `
import flotilla
said = []
@flotilla.enter
def late(): said.append("late")
@flotilla.enter(snapshot=True)
def early(): said.append("early")
class Model:
    @flotilla.enter
    def load(self): said.append("method"); self.size = 3
    def predict(self, x): return [said, self.size]
class Other:
    @flotilla.enter
    def load(self): said.append("other")
`;
    await current.boot("Model.predict", source);
    current.runner.give({ a: 1 });
    expect(await valueOf("a")).toEqual([["early", "late", "method"], 3]);
  });

  test("a module that raises is told with its error, its lines and what it printed", async () => {
    const source = 'print("before", end="")\n\nraise TypeError("not in here")\n';
    expect(await current.boot("f", source)).toMatchObject({
      type: "load_failed",
      error: {
        name: "TypeError",
        message: "not in here",
        stack:
          "TypeError: not in here\nTraceback (most recent call last):\n" +
          '  File "model.py", line 3, in <module>\n    raise TypeError("not in here")',
      },
    });
    expect(current.runner.lines).toEqual([{ stream: "stdout", text: "before" }]);
  });

  test("a module that does not compile is told with the line", async () => {
    expect(await current.boot("f", "def f(:\n")).toMatchObject({
      error: {
        name: "SyntaxError",
        stack: expect.stringMatching(/File "model\.py", line 1\n.*def f\(:/) as string,
      },
    });
  });

  test.each([
    ["predikt", "def predict(x): pass\n", /no "predikt"; did you mean "predict"\?/],
    ["f", "f = 3\n", /f is a int, not a function/],
    ["f", "class f: pass\n", /f is a class: name its method, as in f\.predict/],
    ["M.g", "class M:\n  def h(self): pass\n", /class M has no "g" \(it has: h\)/],
    ["f", "import nothing_here\n", /nothing_here.*must be in the function's image/s],
  ])("%s is not to be had from %j", async (handler, source, message) => {
    expect(await current.boot(handler, source)).toMatchObject({
      type: "load_failed",
      error: { message: expect.stringMatching(message) as string },
    });
  });

  test("a file outside the archive's folder is refused", async () => {
    const files = { "../outside.py": "" };
    expect(await current.boot("f", "def f(): pass\n", { files })).toMatchObject({
      error: { message: expect.stringMatching(/outside its folder/) as string },
    });
  });

  test("inputs that come before the module is loaded wait for it", async () => {
    const booting = current.boot("f", "import time\ntime.sleep(0.1)\ndef f(x): return x * 2\n");
    current.runner.give({ a: 4 });
    await booting;
    expect(await valueOf("a")).toBe(8);
  });
});

describe("inputs", () => {
  test("run in the order in which they came, with all their arguments and results", async () => {
    const source = "seen = []\ndef f(x):\n    seen.append(x)\n    return list(seen)\n";
    await current.boot("f", source);
    current.runner.give({ a: 1, b: "two", c: new Uint8Array([3]) });
    expect(await valueOf("a")).toEqual([1]);
    expect(await valueOf("b")).toEqual([1, "two"]);
    expect(await valueOf("c")).toEqual([1, "two", new Uint8Array([3])]);
  });

  test("own what they print, also to a descriptor of their own stream, and the line left open", async () => {
    const source = `
import sys
def f(x):
    print("hello", x)
    print("careful", file=sys.stderr)
    sys.stdout.buffer.write(b"raw\\n")
    print("open", end="")
`;
    await current.boot("f", source);
    current.runner.give({ a: 1, b: 2 });
    await valueOf("b");
    expect(current.runner.lines).toEqual(
      ["a", "b"].flatMap((inputId, position) => [
        { stream: "stdout", text: `hello ${position + 1}`, inputId },
        { stream: "stderr", text: "careful", inputId },
        { stream: "stdout", text: "raw", inputId },
        { stream: "stdout", text: "open", inputId },
      ]),
    );
  });

  test("lines leave while the input runs", async () => {
    await current.boot("f", 'import time\ndef f(x):\n  print("now")\n  time.sleep(30)\n');
    current.runner.give({ a: 1 });
    await current.runner.hear(({ type }) => type === "logs");
    expect(current.runner.answers).toEqual([]);
  });

  test("that raise fail with name, message, cause and the user's own lines", async () => {
    const source = `
class OutOfRange(ValueError): pass
def inner(x):
    raise OutOfRange(f"{x} is too far")
def f(x):
    try:
        inner(x)
    except ValueError as error:
        raise RuntimeError("no result") from error
`;
    await current.boot("f", source);
    current.runner.give({ a: 9 });
    const { error } = await current.runner.answer("a");
    expect(error).toMatchObject({
      name: "RuntimeError",
      message: "no result",
      cause: { name: "OutOfRange", message: "9 is too far" },
    });
    expect(error?.stack).toBe(
      "RuntimeError: no result\nTraceback (most recent call last):\n" +
        '  File "model.py", line 9, in f\n    raise RuntimeError("no result") from error',
    );
    current.runner.give({ b: 9 });
    expect(await current.runner.answer("b")).toMatchObject({ outcome: "failed" });
  });

  test.each([
    ["return {'model': [print]}", /^result\.model\[0\] is a builtin_function_or_method/],
    [
      "return [(i for i in [1])]",
      /^result\[0\] is a generator, which cannot be sent: send list\(\)/,
    ],
    ["import decimal; return decimal.Decimal(1)", /^result is a decimal\.Decimal.*: send str\(\)/],
    ["return type('Own', (), {})()", /^result is a .*Own, which cannot be sent: send a dict/],
    ["a = []; [a := [a] for _ in range(2000)]; return a", /nests deeper than 1000 levels/],
  ])("that give back what cannot be sent say where and what: %s", async (body, message) => {
    await current.boot("f", `def f(x):\n    ${body}\n`);
    current.runner.give({ a: 0 });
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { code: "not_serializable", message: expect.stringMatching(message) as string },
    });
  });

  test("that give back more than can be kept fail, and others run on", async () => {
    await current.boot("f", "def f(size): return bytes(size)\n");
    current.runner.give({ a: PAYLOAD_BYTES_MAX + 1, b: PAYLOAD_BYTES_MAX - 100 });
    current.runner.refuse(413, "the disk is full");
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { message: expect.stringContaining("413 the disk is full") as string },
    });
    expect(await valueOf("b")).toHaveLength(PAYLOAD_BYTES_MAX - 100);
  });

  test("that cannot be read fail alone", async () => {
    await current.boot("f", "def f(x): return x\n");
    const inputs = [{ inputId: "a", bytes: 2 }];
    current.runner.say({ type: "inputs", inputs }, [Uint8Array.of(2, 99)]);
    current.runner.give({ b: 1 });
    expect(await current.runner.answer("a")).toMatchObject({ outcome: "failed" });
    expect(await valueOf("b")).toBe(1);
  });

  test("that have not begun are given back while another runs, which is not", async () => {
    await current.boot("f", "import time\ndef f(x):\n    print('in')\n    time.sleep(x)\n");
    current.runner.give({ a: 30, b: 0, c: 0 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.say({ type: "cancel", inputIds: ["a", "c", "b", "unknown"] });
    expect(await current.runner.answer("b")).toMatchObject({ outcome: "returned" });
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["c", "b"]);
  });
});

describe("several inputs at once", () => {
  const MEETING = `
import threading, asyncio
barrier = threading.Barrier(3)
def f(x):
    print("begin", x)
    barrier.wait(20)
    print("end", x)
    return threading.current_thread() is threading.main_thread()
count = 0
async def g(x):
    global count
    print("begin", x)
    count += 1
    while count < 3: await asyncio.sleep(0.001)
    print("end", x)
    return count
`;

  test.each([
    ["threads", "f", false],
    ["tasks of one loop", "g", 3],
  ])("run in %s, each with its own lines and share of the time", async (_, handler, result) => {
    await current.boot(handler, MEETING, { maxInputs: 3 });
    current.runner.give({ a: 1, b: 2, c: 3 });
    for (const inputId of ["a", "b", "c"]) expect(await valueOf(inputId)).toBe(result);
    const { lines } = current.runner;
    for (const [position, inputId] of ["a", "b", "c"].entries()) {
      const own = lines.filter((line) => line.inputId === inputId).map(({ text }) => text);
      expect(own).toEqual([`begin ${position + 1}`, `end ${position + 1}`]);
    }
    for (const { runMs, busyMs = Infinity } of current.runner.answers) {
      expect(busyMs).toBeLessThanOrEqual(runMs);
    }
  });

  test("are never more than may be", async () => {
    const source = `
import threading
lock = threading.Lock(); now = 0; most = 0
def f(x):
    global now, most
    with lock: now += 1; most = max(most, now)
    threading.Event().wait(0.01)
    with lock: now -= 1
    return most
`;
    await current.boot("f", source, { maxInputs: 2 });
    const ids = Array.from({ length: 12 }, (_, index) => `i${index}`);
    current.runner.give(Object.fromEntries(ids.map((id) => [id, 0])));
    const most = await Promise.all(ids.map(async (id) => Number(await valueOf(id))));
    expect(Math.max(...most)).toBeLessThanOrEqual(2);
  });

  test("an async function with one input at a time works too", async () => {
    await current.boot(
      "f",
      "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x\n",
    );
    current.runner.give({ a: 1, b: 2 });
    expect([await valueOf("a"), await valueOf("b")]).toEqual([1, 2]);
  });
});

/** What Python cannot tell from something else comes back as that. */
function asPythonHasIt(value: unknown): unknown {
  if (value === undefined) return null;
  if (typeof value === "bigint") {
    const isSafe = value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER;
    return isSafe ? Number(value) : value;
  }
  if (Array.isArray(value)) return Array.from(value, asPythonHasIt);
  if (value instanceof Map) {
    return new Map([...value].map(([key, item]) => [key as unknown, asPythonHasIt(item)]));
  }
  const isPlain = typeof value === "object" && value !== null && value.constructor === Object;
  if (!isPlain) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asPythonHasIt(item)]));
}

test("any value goes to Python and back and is what it was", async () => {
  await current.boot("f", "def f(x): return x\n");
  const leaf = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.double(),
    fc.integer(),
    fc.bigInt(),
    fc.constantFrom(undefined, null, true, false),
    fc.uint8Array(),
    fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true }),
    fc.array(fc.float(), { minLength: 1 }).map((items) => new Float64Array(items)),
  );
  const { value: anything } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, tie("list"), tie("object"), tie("map")),
    list: fc.array(tie("value"), { maxLength: 5 }),
    object: fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("value"),
      { maxKeys: 5, noNullPrototype: true },
    ),
    map: fc.array(fc.tuple(fc.string(), tie("value")), { maxLength: 5 }).map((all) => new Map(all)),
  }));
  let count = 0;
  await fc.assert(
    fc.asyncProperty(anything, async (value) => {
      const inputId = `i${(count += 1)}`;
      current.runner.give({ [inputId]: value });
      expect(await valueOf(inputId)).toStrictEqual(asPythonHasIt(value));
    }),
    { numRuns: 300 },
  );
});
