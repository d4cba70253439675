/** Memory snapshots of Python under the real gVisor: what survives, what is fresh, what is refused. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeValue, encodeArchive } from "../../sdk/protocol/index.ts";
import type { TestRunner } from "../runners/node/test-runner.ts";
import { systemClock } from "../system-clock.ts";
import { TestContainers } from "./test-containers.ts";
import { RealBench, type PythonCode } from "./test-real.ts";

const COUNTER = `
import os, time
import flotilla

loads, order = 1, ["module"]
at_load = {"monotonic": time.monotonic(), "perf": time.perf_counter(), "wall": time.time()}
at_load_env = dict(os.environ)
count = 40

@flotilla.enter(snapshot=True)
def warm():
    order.append("snapshot")

@flotilla.enter
def connect():
    order.append("enter " + os.environ.get("SECRET", "none"))

def main(x):
    global count
    count += 1
    return {
        "count": count,
        "order": order,
        "atLoad": at_load_env,
        "secret": os.environ.get("SECRET"),
        "monotonicMs": (time.monotonic() - at_load["monotonic"]) * 1000,
        "perfMs": (time.perf_counter() - at_load["perf"]) * 1000,
        "wallMs": (time.time() - at_load["wall"]) * 1000,
        "nowMs": time.time() * 1000,
        "size": len(x) if isinstance(x, str) else 0,
    }
`;
const KIND = { runner: "python" } as const;

let bench: RealBench;

beforeAll(async () => {
  bench = await RealBench.open();
});

afterAll(async () => {
  await bench.close();
});

async function ask(runner: TestRunner, argument: unknown = 1): Promise<unknown> {
  runner.answers.length = 0;
  runner.give({ in_1: argument });
  const { payload, error } = await runner.answer("in_1");
  if (error !== undefined) throw new Error(error.message);
  return decodeValue(payload);
}

describe("a restored process", () => {
  test("is read from an image in which its memory lies as it was, uncompressed", async () => {
    const text = "plain-".repeat(50);
    const imageDir = await bench.imageOf({ source: `def main(x):\n    return "${text}"\n` });
    // Compressed it would be a few bytes.
    expect((await readFile(join(imageDir, "checkpoint.img"))).includes(text)).toBe(true);
    const runner = await bench.restore(imageDir, {}, KIND);
    expect(await ask(runner)).toBe(text);
    await runner.end();
  });

  test("goes on from the memory of its image with the environment and the time of now", async () => {
    const imageDir = await bench.imageOf({ source: COUNTER, env: { LOADED: "yes" } });
    const frozenAtMs = performance.now();
    // Time passes while nobody runs.
    await systemClock.sleep(300);
    const runner = await bench.restore(imageDir, { SECRET: "of this one" }, KIND);
    const frozenMs = performance.now() - frozenAtMs;
    const seen = (await ask(runner)) as Record<string, number>;
    expect(seen).toMatchObject({
      count: 41,
      order: ["module", "snapshot", "enter of this one"],
      atLoad: { LOADED: "yes" },
      secret: "of this one",
    });
    expect(Math.abs((seen["nowMs"] ?? 0) - Date.now())).toBeLessThan(5_000);
    // The monotonic clocks have gone on by the time that the image lay, as the wall's did.
    for (const name of ["monotonicMs", "perfMs"]) {
      expect(seen[name]).toBeGreaterThan(Math.min(300, frozenMs));
      expect(Math.abs((seen[name] ?? 0) - (seen["wallMs"] ?? 0))).toBeLessThan(50);
    }
    await runner.end();
  });

  test("hears what comes long after its restore, at any pace, and its channel's end", async () => {
    const runner = await bench.restore(await bench.imageOf({ source: COUNTER }), {}, KIND);
    for (const pauseMs of [0, 1, 30, 150]) {
      await systemClock.sleep(pauseMs);
      await ask(runner);
    }
    expect(await ask(runner, "x".repeat(3_000_000))).toMatchObject({ size: 3_000_000 });
    runner.channel.destroy();
    expect(await runner.exited).toMatchObject({ exitCode: 0 });
  });

  test("sends more than its socket holds to an agent that is slow to read", async () => {
    const source = "def main(x):\n    return 'y' * 8_000_000";
    const runner = await bench.restore(await bench.imageOf({ source }), {}, KIND);
    runner.channel.pause();
    runner.give({ in_1: 1 });
    await systemClock.sleep(200);
    runner.channel.resume();
    expect((await runner.answer("in_1")).bytes).toBeGreaterThan(8_000_000);
    await runner.end();
  });

  test.each<[string, PythonCode]>([
    ["of an async function", { source: "async def main(x):\n    return x", maxInputs: 3 }],
    ["in threads", { source: "def main(x):\n    return x", maxInputs: 3 }],
    ["in processes", { source: "def main(x):\n    return x", maxInputs: 3, workers: "processes" }],
  ])("runs several inputs at once, %s", async (_, code) => {
    const runner = await bench.restore(await bench.imageOf(code), {}, KIND);
    runner.give({ in_1: 1, in_2: 2, in_3: 3 });
    for (const [position, inputId] of ["in_1", "in_2", "in_3"].entries()) {
      expect(decodeValue((await runner.answer(inputId)).payload)).toBe(position + 1);
    }
    await systemClock.sleep(150);
    expect(await ask(runner, 4)).toBe(4);
    await runner.end();
  });

  test("no environment of a container is in the image", async () => {
    const code = encodeArchive([{ path: "model.py", data: Buffer.from(COUNTER) }]);
    const start = { python: { module: "model", handler: "main" } };
    const containers = await TestContainers.open(bench, { code, start });
    const first = await containers.runOne(1, { SECRET: "canary-6f1e" });
    await containers.snapshots.idle();
    const second = await containers.runOne(1, { SECRET: "another" });
    expect([first.isRestored, second.isRestored]).toEqual([false, true]);
    expect(second.value).toMatchObject({
      secret: "another",
      order: ["module", "snapshot", "enter another"],
    });
    const ready = join(containers.dir, "ready");
    for (const name of await readdir(ready, { recursive: true })) {
      if (!name.endsWith(".img")) continue;
      expect((await readFile(join(ready, name))).includes("canary-6f1e")).toBe(false);
    }
    await containers.snapshots.close();
  });
});

describe("memory that cannot be kept is told of", () => {
  test.each([
    [
      "a thread",
      "import threading, time\nthreading.Thread(target=time.sleep, args=(99,), name='poller', daemon=True).start()",
      /1 thread\(s\) run \(poller\)/,
    ],
    [
      "a thread that the interpreter alone knows",
      "import _thread, time\n_thread.start_new_thread(time.sleep, (99,))\ntime.sleep(0.1)",
      /1 thread\(s\) run \(unnamed\)/,
    ],
    [
      "a child process",
      "import subprocess\nchild = subprocess.Popen(['/bin/python3', '-c', 'import time; time.sleep(99)'])",
      /child process/,
    ],
    [
      "a connection",
      "import socket\nserver = socket.create_server(('127.0.0.1', 0))\nnear = socket.create_connection(server.getsockname())",
      /2 socket/,
    ],
  ])("%s", async (_, source, reason) => {
    const code = { source: `${source}\ndef main(x): return 1` };
    await expect(bench.load(code)).rejects.toThrow(reason);
  });

  test.each([
    ["an event loop", "import asyncio\nloop = asyncio.new_event_loop()"],
    ["a child that has ended", "import subprocess\nsubprocess.run(['/bin/python3', '-c', ''])"],
    [
      "a thread that has ended",
      "import threading\none = threading.Thread(target=print)\none.start()\none.join()",
    ],
  ])("and %s can be", async (_, source) => {
    const { runner } = await bench.load({ source: `${source}\ndef main(x): return 1` });
    await runner.end();
  });
});

test("what code prints while it is loaded is told at once, and no thread of it stays", async () => {
  const source = "print('loading')\ndef main(x): return 1";
  const { runner } = await bench.load({ source });
  expect(runner.lines.map(({ text }) => text)).toEqual(["loading"]);
  await runner.end();
});

test("code that does not load fails with its own error, in a container with snapshots too", async () => {
  const code = encodeArchive([{ path: "model.py", data: Buffer.from("import nothing_like_it") }]);
  const start = { python: { module: "model", handler: "main" } };
  const containers = await TestContainers.open(bench, { code, start });
  await expect(containers.runOne()).rejects.toThrow(/No module named 'nothing_like_it'/);
  await containers.snapshots.close();
});
