import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { NdArray, RemoteError, type RemoteFunction } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const APP = `import { App } from "flotilla";
const app = new App("models");
const python = { runtime: "python", source: "model.py" } as const;
export const echo = app.function<[value: unknown], unknown>({ ...python, handler: "echo" });
export const fail = app.function<[], never>({ ...python, handler: "fail" });
export const place = app.function<[], object>({
  ...python, handler: "place", env: { MODE: "test" }, name: "whereabouts" });
export const count = app.function<[x: number], number>({ ...python, handler: "Counter.add" });
export const slow = app.function<[], void>({ ...python, handler: "slow", timeoutMs: 1000, startupTimeoutMs: 60_000 });
export const greedy = app.function<[], void>({ ...python, handler: "greedy", memoryMiB: 128 });
export const together = app.function<[x: number], number>({
  ...python, handler: "together", maxConcurrentInputs: 4, maxContainers: 1 });
export const stream = app.function<[what: string], Generator<Uint8Array, string>>({
  ...python, handler: "stream", memoryMiB: 256 });
export const serve = app.function<[x: number], number>({
  runtime: "python", source: "service", handler: "sums:double" });
export const plain = app.function({}, (x: number) => x + 1);
app.localEntrypoint(async () => [await serve.remote(4), await plain.remote(1)]);
`;

const MODEL = `import asyncio, os, socket, sys, time

def echo(value):
    print("echoing", type(value).__name__)
    return value

def fail():
    raise ValueError("no such label")

def place():
    sock = socket.socket()
    try:
        sock.connect(("1.1.1.1", 80))
        network = "open"
    except OSError:
        network = "closed"
    return {"uid": os.getuid(), "mode": os.environ["MODE"], "network": network,
            "host": os.path.exists("/root"), "python": sys.version_info.major}

class Counter:
    def __init__(self): self.total = 0
    def add(self, x):
        self.total += x
        return self.total

def slow(): time.sleep(60)

def greedy():
    held = []
    while True: held.append(bytearray(8 << 20))

def stream(what):
    try:
        for value in range(1, 4): yield bytes([value]) * (value << 3)
        if what == "large": yield bytes(17 << 20)
        if what == "fail": raise ValueError("in the middle")
        while what == "endless": yield b""
        return "done"
    finally:
        print("closed", what)

arrived = 0
async def together(x):
    global arrived
    arrived += 1
    while arrived < 4: await asyncio.sleep(0.001)
    return x
`;

describe("functions in Python", () => {
  const platform = new TestPlatform();
  const lookup = <Args extends unknown[], Result>(
    name: string,
  ): Promise<RemoteFunction<Args, Result>> => platform.lookup<Args, Result>("models", name);

  beforeAll(async () => {
    await platform.start();
    platform.write("model.py", MODEL);
    mkdirSync(join(platform.scratchDir, "service"));
    platform.write("service/sums.py", "def double(x): return x * 2\n");
    platform.cli("deploy", platform.write("models.ts", APP));
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("take and give values of every kind, and print", async () => {
    const echo = await lookup<[unknown], unknown>("echo");
    const values = [
      { text: "ü", list: [1, 2.5, null] },
      new Uint8Array([0, 255]),
      new Date(1_700_000_000_123),
      new Map([["a", 1]]),
      new Set(["x"]),
      2n ** 80n,
      new NdArray(new Float32Array([1, 2, 3, 4]), [2, 2]),
    ];
    for (const value of values) expect(await echo.remote(value)).toStrictEqual(value);
    const results = [];
    for await (const result of echo.map([1, 2, 3, 4, 5])) results.push(result);
    expect(results.sort()).toEqual([1, 2, 3, 4, 5]);
    expect(platform.cli("app", "logs", "models")).toContain("echoing dict");
  });

  it("fail with Python's error and traceback in the user's file", async () => {
    const fail = await lookup<[], never>("fail");
    const error: unknown = await fail.remote().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(RemoteError);
    expect(error).toMatchObject({ name: "ValueError", message: "no such label" });
    expect((error as Error).stack).toMatch(
      /File "model\.py", line 8, in fail\n\s+raise ValueError/,
    );
  });

  it("run isolated, with their environment and without a network", async () => {
    const place = await lookup<[], object>("whereabouts");
    expect(await place.remote()).toEqual({
      ...{ uid: 65_534, mode: "test", network: "closed", host: false, python: 3 },
    });
  });

  it("keep the instance of a class in its container", async () => {
    const add = await lookup<[number], number>("count");
    expect([await add.remote(2), await add.remote(3)]).toEqual([2, 5]);
  });

  it("are ended at their timeout and at their memory limit, and say which", async () => {
    const slow = await lookup<[], unknown>("slow");
    await expect(slow.remote()).rejects.toMatchObject({ code: "timed_out" });
    const greedy = await lookup<[], unknown>("greedy");
    await expect(greedy.remote()).rejects.toMatchObject({ code: "out_of_memory" });
  });

  it("run several inputs at once in one container", async () => {
    const together = await lookup<[number], number>("together");
    const all = [1, 2, 3, 4].map((x) => together.remote(x));
    expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
  });

  it("yield values of any size as they come, and end as their readers do", async () => {
    const stream = await lookup<[string], Generator<Uint8Array, string>>("stream");
    const read = async (what: string, most: number): Promise<readonly number[]> => {
      const sizes: number[] = [];
      for await (const value of stream.remoteGen(what))
        if (sizes.push(value.length) === most) break;
      return sizes;
    };
    expect(await read("large", 9)).toEqual([8, 16, 24, 17 * 2 ** 20]);
    const values = stream.remoteGen("fail");
    for (const size of [8, 16, 24]) {
      expect(await values.next()).toEqual({
        ...{ done: false, value: new Uint8Array(size).fill(size / 8) },
      });
    }
    await expect(values.next()).rejects.toMatchObject({
      ...{ name: "ValueError", message: "in the middle" },
      stack: expect.stringMatching(/File "model\.py", line \d+, in stream/) as string,
    });
    expect(await read("endless", 50)).toHaveLength(50);
    const logs = (): string => platform.tryCli("app", "logs", "models").stdout;
    await expect.poll(logs, { interval: 200 }).toContain("closed endless");
    await expect(stream.remote("plainly")).rejects.toThrow("call it with remoteGen");
  });

  it("run beside TypeScript in one app, from a folder too, also by `flotilla run`", () => {
    const { stdout } = platform.tryCli("run", join(platform.scratchDir, "models.ts"), "--json");
    expect(JSON.parse(stdout)).toMatchObject([8, 2]);
  });

  it("run the example", () => {
    const { status, stdout, stderr } = platform.tryCli("run", "examples/python/next-word.ts");
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('ValueError: I have never read "dog"');
    expect(stdout).toContain("DONE!");
  });

  it("that do not load say why where they are called", async () => {
    platform.write("broken.py", 'raise RuntimeError("no weights here")\ndef f(): pass\n');
    const file = platform.write(
      "broken.ts",
      `import { App } from "flotilla";
const app = new App("broken");
export const f = app.function({ runtime: "python", source: "broken.py", handler: "f" });
`,
    );
    platform.cli("deploy", file);
    const f = await platform.lookup<[], unknown>("broken", "f");
    await expect(f.remote()).rejects.toMatchObject({
      code: "startup_failed",
      message: expect.stringMatching(/no weights here/) as string,
    });
  });
});
