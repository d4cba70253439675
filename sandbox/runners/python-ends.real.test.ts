import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { decodeValue, FRAME_BYTES_MAX } from "../../sdk/protocol/index.ts";
import { useTestPython } from "./test-python-runner.ts";

const current = useTestPython();

const valueOf = async (inputId: string): Promise<unknown> => {
  const answer = await current.runner.answer(inputId);
  expect(answer).toMatchObject({ outcome: "succeeded" });
  return decodeValue(answer.payload);
};

describe("ends", () => {
  test.each([
    ["sys.exit(3)", "one at a time", 1, "def"],
    ["sys.exit(3)", "two threads", 2, "def"],
    ["sys.exit(3)", "a loop", 2, "async def"],
    ["os._exit(3)", "one at a time", 1, "def"],
  ])("%s in %s ends the process and names its input", async (call, _, maxInputs, define) => {
    const source = `import os, sys\n${define} f(x):\n    print("last")\n    ${call}\n`;
    await current.boot("f", source, { maxInputs });
    current.runner.give({ a: 1 });
    expect(await current.runner.exited).toMatchObject({ exitCode: 3 });
    expect(current.runner.messages.at(-1)).toEqual({ type: "exiting", exitCode: 3, inputId: "a" });
    expect(current.runner.lines).toEqual([{ stream: "stdout", text: "last", inputId: "a" }]);
  });

  test("a process that the user forks says nothing on the channel, and its prints are kept", async () => {
    const source = `
import os, sys
def f(x):
    pid = os.fork()
    if pid == 0:
        print("from the child", flush=True)
        os._exit(0)
    return os.waitpid(pid, 0)[1]
`;
    await current.boot("f", source);
    current.runner.give({ a: 1 });
    expect(await valueOf("a")).toBe(0);
    expect(current.runner.messages.some(({ type }) => type === "exiting")).toBe(false);
    while (!current.runner.stdout.includes("from the child")) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test("multiprocessing works, and what it starts does not hold the channel", async () => {
    const source = `
import multiprocessing
def double(x): return x * 2
def f(x):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(double, [x, x + 1])
`;
    await current.boot("f", source);
    current.runner.give({ a: 1 });
    expect(await valueOf("a")).toEqual([2, 4]);
  });

  test("standard input is empty for the user's code", async () => {
    await current.boot("f", "import sys\ndef f(x): return sys.stdin.read()\n");
    current.runner.give({ a: 1 });
    expect(await valueOf("a")).toBe("");
  });

  test("a crash of the interpreter leaves its traceback on standard error", async () => {
    await current.boot("f", "import faulthandler\ndef f(x): faulthandler._sigsegv()\n");
    current.runner.give({ a: 1 });
    expect(await current.runner.exited).toMatchObject({ signal: "SIGSEGV" });
    expect(current.runner.stderr).toMatch(/Segmentation fault[\s\S]*model\.py", line 2 in f/);
  });

  test("it ends when its channel does, in the middle of an input too", async () => {
    await current.boot("f", "import time\ndef f(x):\n    print('in')\n    time.sleep(600)\n");
    current.runner.give({ a: 1 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.channel.end();
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
  });

  test("a frame that is too large ends it", async () => {
    await current.boot("f", "def f(x): return x\n");
    const prefix = Buffer.alloc(8);
    prefix.writeUInt32LE(FRAME_BYTES_MAX + 1, 0);
    current.runner.channel.write(prefix);
    await once(current.runner.channel, "close");
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
  });
});

describe("cancelling and leaving", () => {
  const SLOW = `
import asyncio, flotilla
async def f(x):
    print("in")
    try:
        await asyncio.sleep(x)
    finally:
        print("out", x)
    return x
@flotilla.exit
def close(): print("closed")
`;

  test("an input that runs in the event loop is cancelled, and others are not", async () => {
    await current.boot("f", SLOW, { maxInputs: 2 });
    current.runner.give({ a: 60, b: 0.5 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.say({ type: "abort", inputIds: ["a"] });
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { name: "CancelledError" },
    });
    expect(await valueOf("b")).toBe(0.5);
  });

  test("leaving cancels what runs, runs the exit hooks, and tells nothing of failures", async () => {
    await current.boot("f", SLOW, { maxInputs: 2 });
    expect(current.runner.messages).toContainEqual(
      expect.objectContaining({ type: "ready", leaves: true }),
    );
    current.runner.give({ a: 60, b: 60, c: 60 });
    await current.runner.hear(({ type }) => type === "logs");
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(current.runner.answers).toEqual([]);
    expect(current.runner.lines.map(({ text }) => text)).toContain("closed");
  });

  test("an exit hook that fails keeps no other from running", async () => {
    const source = `
import flotilla
def f(x): return x
@flotilla.exit
def first(): raise ValueError("cannot close")
class Other:
    @flotilla.exit
    def close(self): print("never")
@flotilla.exit
def second(): print("second")
`;
    await current.boot("f", source);
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    const texts = current.runner.lines.map(({ text }) => text);
    expect(texts).toContain("ValueError: cannot close");
    expect(texts.at(-1)).toBe("second");
    expect(texts).not.toContain("never");
  });
});
