/** Generators in Python: their values as they come, a window ahead of the reader, to any end. */
import { describe, expect, test } from "vitest";
import { decodeValue, PAYLOAD_BYTES_MAX } from "../../sdk/protocol/index.ts";
import { useTestPython } from "./test-python-runner.ts";

const current = useTestPython();
/** What one may be ahead of its reader. */
const AHEAD = 32;

const SOURCE = `
import asyncio, os, time
def count(to):
    try:
        for value in range(to):
            yield value
        return f"counted {to}"
    except GeneratorExit:
        print("closed")
        raise
    finally:
        print("finally")
async def count_async(to):
    try:
        for value in range(to):
            await asyncio.sleep(0)
            yield value
    finally:
        await asyncio.sleep(0.01)
        print("finally")
class Model:
    def __init__(self): self.calls = 0
    def count(self, to):
        self.calls += 1
        for value in range(to): yield [self.calls, value]
def breaks(what):
    try:
        yield 1
        print("before", end="")
        yield {"none": what}
        if what == "raise":
            raise ValueError("in the middle")
        if what == "value": yield {"model": [print]}
        if what == "exit": os._exit(3)
        if what == "crash": os.abort()
    finally:
        print("closed")
async def breaks_async(what):
    yield 1
    yield 2
    raise ValueError("in the middle")
def plain(x): return [x]
async def plain_async(x): return [x]
def gives(x): return count(x)
async def gives_async(x): return count_async(x)
def mixed(x): return count_async(x)
async def mixed_async(x): return count(x)
def stubborn(x):
    try:
        yield 1
        print("deaf")
        time.sleep(600)
    finally:
        print("never")
def bytes_of(size):
    memory = bytearray(size)
    for value in range(20):
        memory[:] = bytes([value]) * size
        yield memory
`;

const WAYS = [
  { way: "one at a time", handler: "count", boot: {} },
  { way: "in threads", handler: "count", boot: { maxInputs: 2 } },
  { way: "in processes", handler: "count", boot: { maxInputs: 2, workers: "processes" } },
  { way: "in an event loop", handler: "count_async", boot: { maxInputs: 2 } },
  {
    ...{ way: "in processes with a loop each", handler: "count_async" },
    boot: { maxInputs: 2, workers: "processes" },
  },
] as const;

async function boot(handler: string, options: Parameters<typeof current.boot>[2] = {}) {
  expect(await current.boot(handler, SOURCE, options)).toMatchObject({ type: "ready" });
}

/** Gives an input whose values are read as they come. */
function read(inputId: string, argument: unknown, skip = 0): void {
  current.runner.give({ [inputId]: argument }, { skip });
}

const credit = (inputId: string, consumed: number): void =>
  current.runner.say({ type: "credit", inputId, consumed });

const textsOf = (inputId: string): readonly string[] =>
  current.runner.lines.flatMap((line) => (line.inputId === inputId ? [line.text] : []));

const upTo = (count: number): number[] => Array.from({ length: count }, (_, value) => value);

async function seen(inputId: string, count: number): Promise<readonly unknown[]> {
  const values = await current.runner.valuesOf(inputId, count);
  expect(values.map(({ sequence }) => sequence)).toEqual(
    values.map((_, index) => (values[0]?.sequence ?? 0) + index),
  );
  return values.map(({ payload }) => decodeValue(payload));
}

describe.each(WAYS)("generators $way", ({ handler, boot: options }) => {
  test("run a window ahead, go on as they are read, skip what was, and return", async () => {
    await boot(handler, options);
    read("z", 40, 35);
    expect(await current.runner.answer("z")).toMatchObject({ outcome: "succeeded" });
    expect(await seen("z", 5)).toEqual([35, 36, 37, 38, 39]);
    read("a", 100);
    expect(await seen("a", AHEAD)).toEqual(upTo(AHEAD));
    credit("a", 10);
    expect(await seen("a", AHEAD + 10)).toEqual(upTo(AHEAD + 10));
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["z"]);
    for (let consumed = 20; consumed <= 100; consumed += 10) {
      credit("a", consumed);
      await current.runner.valuesOf("a", Math.min(100, consumed + AHEAD));
    }
    const answer = await current.runner.answer("a");
    expect(answer).toMatchObject({ outcome: "succeeded" });
    expect(decodeValue(answer.payload)).toBe(handler === "count" ? "counted 100" : null);
    expect(await seen("a", 100)).toEqual(upTo(100));
    expect(textsOf("a")).toEqual(["finally"]);
  });

  test("are closed when they are cancelled, and the next input runs", async () => {
    await boot(handler, options);
    read("a", 1000);
    await current.runner.valuesOf("a", AHEAD);
    current.runner.say({ type: "abort", inputIds: ["a"] });
    current.runner.say({ type: "abort", inputIds: ["a"] });
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { name: "CancelledError" },
    });
    expect(textsOf("a")).toEqual(handler === "count" ? ["closed", "finally"] : ["finally"]);
    read("b", 2);
    expect(await seen("b", 2)).toEqual([0, 1]);
    expect(await current.runner.answer("b")).toMatchObject({ outcome: "succeeded" });
  });
});

test("a generator that is a method has the instance of its class", async () => {
  await boot("Model.count");
  read("a", 2);
  read("b", 1);
  expect(await seen("a", 2)).toEqual([
    [1, 0],
    [1, 1],
  ]);
  expect(await seen("b", 1)).toEqual([[2, 0]]);
});

test("a value that is larger than the window waits for its reader, and is what it was", async () => {
  const size = 9 * 1024 * 1024;
  await boot("bytes_of");
  read("a", size);
  for (const position of upTo(4)) {
    const values = await current.runner.valuesOf("a", position + 1);
    expect(values).toHaveLength(position + 1);
    const value = decodeValue(values[position]?.payload ?? new Uint8Array(0)) as Uint8Array;
    expect([value.length, value[0], value.at(-1)]).toEqual([size, position, position]);
    credit("a", position + 1);
  }
});

test("a value that is too large for a frame and cannot be kept ends the generator", async () => {
  await boot("bytes_of");
  current.runner.refuse(413, "the disk is full");
  read("a", PAYLOAD_BYTES_MAX + 1);
  expect(await current.runner.answer("a")).toMatchObject({
    outcome: "failed",
    error: { message: expect.stringContaining("413 the disk is full") as string },
  });
});

describe("errors in the middle", () => {
  test.each([{}, { maxInputs: 2, workers: "processes" }] as const)(
    "come after the values and lines before them, with the traceback (%j)",
    async (options) => {
      await boot("breaks", options);
      read("a", "raise");
      const { outcome, error } = await current.runner.answer("a");
      expect({ outcome, error }).toMatchObject({
        outcome: "failed",
        error: {
          name: "ValueError",
          message: "in the middle",
          stack:
            "ValueError: in the middle\nTraceback (most recent call last):\n" +
            '  File "model.py", line 32, in breaks\n    raise ValueError("in the middle")',
        },
      });
      expect(await seen("a", 2)).toEqual([1, { none: "raise" }]);
      expect(textsOf("a")).toEqual(["before", "closed"]);
    },
  );

  test("come likewise from asynchronous ones", async () => {
    await boot("breaks_async");
    read("a", "raise");
    const { error } = await current.runner.answer("a");
    expect(error?.stack).toMatch(/File "model\.py", line \d+, in breaks_async/);
    expect(error?.stack).not.toMatch(/value_stream|work\.py/);
    expect(await seen("a", 2)).toEqual([1, 2]);
  });

  test("a value that cannot be sent says which and where, and closes the generator", async () => {
    await boot("breaks");
    read("a", "value");
    const { error } = await current.runner.answer("a");
    expect(error).toMatchObject({ code: "not_serializable" });
    expect(error?.message).toMatch(/^value 2\.model\[0\] is a builtin_function_or_method/);
    expect(textsOf("a")).toEqual(["before", "closed"]);
  });

  test("an exit names its input, after its values", async () => {
    await boot("breaks");
    read("a", "exit");
    expect(await current.runner.exited).toMatchObject({ exitCode: 3 });
    expect(current.runner.messages.at(-1)).toEqual({ type: "exiting", exitCode: 3, inputId: "a" });
    expect(await seen("a", 2)).toEqual([1, { none: "exit" }]);
  });

  test("a process that crashes fails its input after its values, and no other", async () => {
    await boot("breaks", { maxInputs: 1, workers: "processes" });
    read("a", "crash");
    read("b", "raise");
    expect(await current.runner.answer("a")).toMatchObject({
      error: { name: "ProcessEndedError", message: expect.stringMatching(/SIGABRT/) as string },
    });
    expect(await seen("a", 2)).toHaveLength(2);
    expect(await current.runner.answer("b")).toMatchObject({ error: { name: "ValueError" } });
  });
});

test("a process whose generator does not listen is ended, and takes no other with it", async () => {
  await boot("stubborn", { maxInputs: 1, workers: "processes" });
  read("a", 0);
  await current.runner.hear(({ type }) => type === "logs");
  current.runner.say({ type: "abort", inputIds: ["a"] });
  expect(await current.runner.answer("a")).toMatchObject({
    error: { name: "ProcessEndedError", message: "the call was cancelled" },
  });
  read("b", 0);
  expect(await seen("b", 1)).toEqual([1]);
});

test.each(["gives", "gives_async"])("%s, which gives a generator, is one", async (name) => {
  await boot(name);
  current.runner.give({ plainly: 1 });
  expect(await current.runner.answer("plainly")).toMatchObject({
    error: { name: "TypeError", message: "the function is a generator: call it with remoteGen" },
  });
  read("a", 3);
  expect(await seen("a", 3)).toEqual([0, 1, 2]);
});

test.each([
  ["plain", /is no generator: call it with remote, not remoteGen/],
  ["plain_async", /is no generator: call it with remote, not remoteGen/],
  ["mixed", /only an `async def` function can give an asynchronous generator/],
  ["mixed_async", /an `async def` function gives an asynchronous generator, no plain one/],
])("%s, called as a generator, says what it is", async (name, message) => {
  await boot(name);
  read("a", 1);
  expect(await current.runner.answer("a")).toMatchObject({
    error: { name: "TypeError", message: expect.stringMatching(message) as string },
  });
});

test.each(["count", "count_async"])("leaving closes %s before the exit hooks run", async (name) => {
  const hook = "\nimport flotilla\n@flotilla.exit\ndef last(): print('exit hook')\n";
  await current.boot(name, SOURCE + hook);
  read("a", 1000);
  await current.runner.valuesOf("a", AHEAD);
  current.runner.say({ type: "leave" });
  expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
  expect(current.runner.lines.slice(-2).map(({ text }) => text)).toEqual(["finally", "exit hook"]);
  expect(current.runner.answers).toEqual([]);
});
