/** Memory snapshots under the real gVisor: what survives, what is fresh, and what goes wrong. */
import { readdir, truncate, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../sdk/protocol/index.ts";
import { Container } from "../agent/container.ts";
import type { StartContainer } from "../agent/link.ts";
import { until } from "../fake/clock.ts";
import { systemClock } from "../system-clock.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { TestRunner } from "../runners/node/test-runner.ts";
import { MemorySnapshots } from "./snapshots.ts";
import { RealBench } from "./test-real.ts";

const COUNTER = `
import { performance } from "node:perf_hooks";
export let loads = 0;
loads += 1;
const atLoad = { monotonicMs: performance.now(), wallMs: Date.now(), secret: process.env.SECRET };
let armed = 0;
const armedAtMs = Date.now();
setTimeout(() => (armed = Date.now() - armedAtMs), 600_000);
let soon = 0;
setTimeout(() => (soon = performance.now() - atLoad.monotonicMs), 50);
let count = 40;
export const main = () => ({
  count: (count += 1),
  loads,
  atLoad,
  armed,
  soon,
  secret: process.env.SECRET,
  monotonicMs: performance.now() - atLoad.monotonicMs,
  wallMs: Date.now() - atLoad.wallMs,
  nowMs: Date.now(),
});
`;

interface Seen {
  readonly count: number;
  readonly loads: number;
  readonly atLoad: { readonly secret?: string };
  readonly armed: number;
  readonly soon: number;
  readonly secret: string;
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly nowMs: number;
}

const clock = systemClock;
const INPUT = encodeValue([1]);

let bench: RealBench;

beforeEach(async () => {
  bench = await RealBench.open();
});

afterEach(async () => {
  await bench.close();
});

async function ask(runner: TestRunner): Promise<Seen> {
  runner.answers.length = 0;
  runner.give({ in_1: 1 });
  return decodeValue((await runner.answer("in_1")).payload) as Seen;
}

describe("a restored process", () => {
  test("goes on from the memory of its image with the environment and the time of now", async () => {
    const imageDir = await bench.imageOf(COUNTER);
    const frozenAtMs = performance.now();
    // Time passes while nobody runs.
    await clock.sleep(300);
    const runner = await bench.restore(imageDir, { SECRET: "of this one" });
    const frozenMs = performance.now() - frozenAtMs;
    const seen = await ask(runner);
    expect(seen).toMatchObject({ count: 41, loads: 1, secret: "of this one", atLoad: {} });
    expect(seen.atLoad.secret).toBeUndefined();
    expect(Math.abs(seen.nowMs - Date.now())).toBeLessThan(5_000);
    // The monotonic clock has gone on by the time that the image lay, as the wall's did.
    expect(seen.monotonicMs).toBeGreaterThan(Math.min(300, frozenMs));
    expect(Math.abs(seen.monotonicMs - seen.wallMs)).toBeLessThan(50);
    // So a timer that was due meanwhile has fired, and one far off has not.
    const later = await ask(runner);
    expect(later.soon).toBeGreaterThan(0);
    expect(later.armed).toBe(0);
    await runner.end();
  });

  test("hears what comes long after its restore, at any pace, and its channel's end", async () => {
    const runner = await bench.restore(await bench.imageOf(COUNTER));
    for (const pauseMs of [0, 1, 30, 150]) {
      await clock.sleep(pauseMs);
      await ask(runner);
    }
    const big = "x".repeat(3_000_000);
    runner.answers.length = 0;
    runner.give({ in_1: big, in_2: 2 });
    await runner.answer("in_2");
    runner.channel.destroy();
    expect(await runner.exited).toMatchObject({ exitCode: 0 });
  });

  test("no environment of the first container is in the image", async () => {
    const imageDir = await bench.imageOf(COUNTER);
    const runner = await bench.restore(imageDir, { SECRET: "canary-6f1e" });
    await runner.end();
    for (const name of await readdir(imageDir)) {
      expect((await readFile(join(imageDir, name))).includes("canary-6f1e")).toBe(false);
    }
  });
});

describe("memory that cannot be kept is told of", () => {
  test.each([
    [
      "a worker thread",
      'import { Worker } from "node:worker_threads"; new Worker("setInterval(() => 0, 999)", { eval: true }).unref();',
      /1 worker thread/,
    ],
    [
      "a child process",
      'import { spawn } from "node:child_process"; spawn(process.execPath, ["-e", "setInterval(() => 0, 999)"]);',
      /child process/,
    ],
    [
      "a connection",
      'import net from "node:net"; const server = net.createServer(() => 0).listen(0, "127.0.0.1"); await new Promise((done) => server.once("listening", done)); const socket = net.connect(server.address().port, "127.0.0.1"); await new Promise((done) => socket.once("connect", done)); await new Promise((done) => setTimeout(done, 50));',
      /3 socket/,
    ],
  ])("%s", async (_, source, reason) => {
    await expect(bench.load(`${source}\nexport const main = () => 1;`)).rejects.toThrow(reason);
  });
});

describe("a container whose snapshot is bad starts cold and answers", () => {
  const start: StartContainer = {
    containerId: "co_1",
    functionId: "fn_1",
    functionName: "main",
    appName: "app",
    codeSha256: "c0de",
    resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 256 },
    env: {},
    startupTimeoutMs: 30_000,
    timeoutMs: 30_000,
    snapshotId: "a".repeat(64),
  };
  const errors: string[] = [];
  let count = 0;

  async function open(): Promise<MemorySnapshots> {
    errors.length = 0;
    const snapshots = await MemorySnapshots.open({
      dir: join(bench.dir, "snapshots"),
      runtime: bench.runtime,
      clock,
      loadCode: () => Promise.resolve(Buffer.from(HOOK + COUNTER)),
      hasRoom: () => true,
      onKept: () => undefined,
      onError: (error) => errors.push(String(error)),
    });
    if (snapshots === undefined) throw new Error("gVisor has images");
    return snapshots;
  }

  /** Runs one container to one result; tells whether it was restored. */
  async function runOne(snapshots: MemorySnapshots): Promise<boolean> {
    let restored: boolean | undefined;
    let resultCount = 0;
    const container = new Container({
      start: { ...start, containerId: `co_${process.pid}_bad_${(count += 1)}` },
      runtime: bench.runtime,
      loadCode: () => Promise.resolve(Buffer.from(HOOK + COUNTER)),
      snapshots,
      relay: () => Promise.resolve({ status: 204, body: new Uint8Array(0) }),
      clock,
      reports: {
        ready: (_, __, isRestored) => (restored = isRestored),
        results: (_, results) => {
          resultCount += results.filter(({ outcome }) => outcome === "succeeded").length;
        },
        values: () => undefined,
        stream: () => undefined,
        logs: () => undefined,
        exited: () => undefined,
      },
    });
    const running = container.run();
    await until(() => restored !== undefined, "it is ready");
    container.push([{ inputId: "in_1", bytes: INPUT.byteLength }], INPUT);
    await until(() => resultCount === 1, "it has answered");
    container.stop();
    await running;
    return restored === true;
  }

  const damages: Readonly<Record<string, (path: string) => Promise<void>>> = {
    "image is cut off": async (path) => truncate(path, 5_000),
    "image is empty": async (path) => truncate(path, 0),
    "image has changed bytes": async (path) => {
      const bytes = await readFile(path);
      bytes.fill(0xff, bytes.length >> 1, (bytes.length >> 1) + 4_096);
      await writeFile(path, bytes);
    },
    "image is no image": async (path) => writeFile(path, "hello"),
  };

  test.each(Object.entries(damages))("because its %s", async (_, damage) => {
    const snapshots = await open();
    expect(await runOne(snapshots)).toBe(false);
    await snapshots.idle();
    expect(errors).toEqual([]);
    expect(await runOne(snapshots)).toBe(true);
    const ready = join(bench.dir, "snapshots", "ready");
    await damage(join(ready, (await readdir(ready))[0] ?? "", "checkpoint.img"));
    expect(await runOne(snapshots)).toBe(false);
    expect(errors).toHaveLength(1);
    expect(await readdir(join(bench.dir, "snapshots", "bad"))).toHaveLength(1);
    await snapshots.close();
  });
});
