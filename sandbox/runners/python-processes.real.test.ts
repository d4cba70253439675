/** Inputs in processes that are forked from one that has loaded the code. */
import { describe, expect, test } from "vitest";
import { decodeValue } from "../../sdk/protocol/index.ts";
import { useTestPython } from "./test-python-runner.ts";

const current = useTestPython();
const COPIES = 200;

const valueOf = async (inputId: string): Promise<unknown> => {
  const answer = await current.runner.answer(inputId);
  expect(answer).toMatchObject({ outcome: "succeeded" });
  return decodeValue(answer.payload);
};

async function boot(source: string, maxInputs: number): Promise<void> {
  const ready = await current.boot("f", source, { maxInputs, workers: "processes" });
  expect(ready).toMatchObject({ type: "ready" });
}

const texts = (): readonly string[] => current.runner.lines.map(({ text }) => text);

/** Resolves once so many lines are there. */
async function lines(count: number): Promise<void> {
  await current.runner.hear(() => current.runner.lines.length >= count);
}

const manyIds = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `i${index}`);

const PLAIN = `
import os, sys, time, flotilla
loaded_by = os.getpid()
here = []
@flotilla.enter(snapshot=True)
def early(): here.append("early")
@flotilla.enter
def late(): here.append(os.getpid())
@flotilla.exit
def close(): print("closed")
def f(what):
    print("got", what)
    if what == "exit": sys.exit(7)
    if what == "crash": os.abort()
    if what == "sleep": time.sleep(600)
    return [os.getpid(), loaded_by, here]
`;

describe("processes", () => {
  test("are forked after the code was loaded once, each with hooks of its own", async () => {
    await boot(PLAIN, 2);
    current.runner.give({ a: 1 });
    const [pid, parent, here] = (await valueOf("a")) as [number, number, unknown];
    expect(pid).not.toBe(parent);
    expect(here).toEqual(["early", pid]);
    current.runner.give({ b: 2 });
    // The first is idle again, so that no other is needed.
    expect(await valueOf("b")).toEqual([pid, parent, ["early", pid]]);
    expect(current.runner.lines).toEqual([
      { stream: "stdout", text: "got 1", inputId: "a" },
      { stream: "stdout", text: "got 2", inputId: "b" },
    ]);
  });

  test("run at once, as many as may, and compute beside each other", async () => {
    const source = `
import os, pathlib, tempfile, time
meeting = pathlib.Path(tempfile.mkdtemp())
def f(x):
    (meeting / str(os.getpid())).touch()
    until = time.monotonic() + 20
    # Busy: threads would take turns, and others would wait for this one.
    while len(list(meeting.iterdir())) < 3 and time.monotonic() < until: pass
    return len(list(meeting.iterdir()))
`;
    await boot(source, 3);
    current.runner.give(Object.fromEntries(manyIds(9).map((id) => [id, 0])));
    for (const id of manyIds(9)) expect(await valueOf(id)).toBe(3);
    for (const { runMs, busyMs = Infinity } of current.runner.answers) {
      expect(busyMs).toBeLessThanOrEqual(runMs);
    }
  });

  test.each([
    ["exit", /exited with code 7/],
    ["crash", /ended by SIGABRT/],
  ])(
    "that end by %s fail their input and no other, and another takes their place",
    async (what, why) => {
      await boot(PLAIN, 1);
      current.runner.give({ a: what, b: 1 });
      expect(await current.runner.answer("a")).toMatchObject({
        outcome: "failed",
        error: { name: "ProcessEndedError", message: expect.stringMatching(why) as string },
      });
      expect(await valueOf("b")).toHaveLength(3);
    },
  );

  test("end with their input when it is cancelled, even a sleeping one", async () => {
    await boot(PLAIN, 2);
    current.runner.give({ a: "sleep", b: "sleep", c: 1 });
    current.runner.say({ type: "abort", inputIds: ["a"] });
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { message: "the call was cancelled" },
    });
    expect(await valueOf("c")).toHaveLength(3);
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["a", "c"]);
  });

  test("give back what has not begun", async () => {
    await boot(PLAIN, 1);
    current.runner.give({ a: "sleep", b: 1, c: 1 });
    current.runner.say({ type: "cancel", inputIds: ["a", "b", "c"] });
    expect(await current.runner.answer("b")).toMatchObject({ outcome: "returned" });
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["c", "b"]);
  });

  test("leave in peace with their exit hooks", async () => {
    await boot(PLAIN, 2);
    current.runner.give({ a: 1 });
    await valueOf("a");
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(current.runner.lines.at(-1)).toEqual({ stream: "stdout", text: "closed" });
  });

  test("that still run an input leave after it, and what it gives is told", async () => {
    const source = `
import flotilla, os, pathlib, tempfile, time
left = pathlib.Path(tempfile.mkdtemp()) / "left"
@flotilla.exit
def close():
    print("closed")
    left.touch()
def f(what):
    print("got", what)
    while what != 1 and not left.exists(): time.sleep(0.001)
    return bytes(17 << 20) if what == "large" else what
`;
    await boot(source, 3);
    current.runner.refuse(200, JSON.stringify({ sha256: "00".repeat(32) }));
    // The last one leaves at once, and those before it when it has.
    current.runner.give({ large: "large", small: "small", idle: 1 });
    await valueOf("idle");
    await lines(3);
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(await valueOf("small")).toBe("small");
    expect(await current.runner.answer("large")).toMatchObject({ outcome: "succeeded" });
    expect(texts().filter((text) => text === "closed")).toHaveLength(3);
  });

  test("that are blocked run their exit hooks beside their input, which is not told of", async () => {
    await boot(PLAIN, 3);
    current.runner.give({ a: "sleep", b: "sleep", c: 1 });
    await valueOf("c");
    await lines(3);
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(texts().filter((text) => text === "closed")).toHaveLength(3);
    expect(current.runner.answers.map(({ inputId }) => inputId)).toEqual(["c"]);
  });

  test("are gone when the container is", async () => {
    await boot(PLAIN, 2);
    current.runner.give({ a: 1 });
    const [pid] = (await valueOf("a")) as [number];
    current.runner.channel.end();
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  test("of code that starts threads are refused, with what to do", async () => {
    const source =
      "import threading, time\n" +
      "threading.Thread(target=time.sleep, args=(600,), name='poller', daemon=True).start()\n" +
      "def f(x): return x\n";
    const answer = await current.boot("f", source, { maxInputs: 2, workers: "processes" });
    expect(answer).toMatchObject({
      type: "load_failed",
      error: { message: expect.stringMatching(/poller.*start them in @flotilla\.enter/) as string },
    });
  });

  test("whose own hook fails fail the input that they were made for, with its error", async () => {
    const source =
      "import flotilla\n@flotilla.enter\ndef late(): raise ValueError('no key')\ndef f(x): return x\n";
    await boot(source, 1);
    current.runner.give({ a: 1 });
    expect(await current.runner.answer("a")).toMatchObject({
      outcome: "failed",
      error: { name: "ValueError", message: "no key" },
    });
  });

  test("are copies that share not one value of any generator", async () => {
    const source = `
import os, random, secrets, ssl, time, uuid
own = random.Random()
def f(x):
    drawn = [random.random(), own.random(), secrets.token_hex(), str(uuid.uuid4()),
             ssl.RAND_bytes(16).hex(), os.urandom(16).hex()]
    time.sleep(0.2)  # Keeps the process busy, so that the next input gets another.
    return [os.getpid(), drawn]
`;
    await boot(source, COPIES);
    current.runner.give(Object.fromEntries(manyIds(COPIES).map((id) => [id, 0])));
    const values = await Promise.all(manyIds(COPIES).map((id) => valueOf(id)));
    const drawn = (values as readonly [number, readonly unknown[]][]).map(([, each]) => each);
    for (const position of [0, 1, 2, 3, 4, 5]) {
      expect(new Set(drawn.map((each) => each[position])).size).toBe(COPIES);
    }
    expect(new Set(values.map((value) => (value as [number])[0])).size).toBeGreaterThan(20);
  });
});
