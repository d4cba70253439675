/** Memory snapshots under the real gVisor: what survives, what is fresh, and what goes wrong. */
import { readdir, truncate, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeValue, encodeArchive } from "../../sdk/protocol/index.ts";
import { systemClock } from "../system-clock.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { TestRunner } from "../runners/node/test-runner.ts";
import { TestContainers } from "./test-containers.ts";
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

let bench: RealBench;

beforeAll(async () => {
  bench = await RealBench.open();
});

afterAll(async () => {
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

  test("is read from an image in which its memory lies as it was, uncompressed", async () => {
    const text = "plain-".repeat(50);
    const imageDir = await bench.imageOf(`export const main = () => "${text}";`);
    // Compressed it would be a few bytes.
    expect((await readFile(join(imageDir, "checkpoint.img"))).includes(text)).toBe(true);
    expect(await readdir(imageDir)).not.toContain("checkpoint.img.plain");
    const runner = await bench.restore(imageDir);
    expect(await ask(runner)).toBe(text);
    await runner.end();
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

  const codes = {
    Node: { code: Buffer.from(HOOK + COUNTER) },
    Python: {
      code: encodeArchive([{ path: "model.py", data: Buffer.from("def main(x): return x") }]),
      start: { python: { module: "model", handler: "main" } },
    },
  };
  const cases = Object.entries(codes).flatMap(([language, options]) =>
    Object.entries(damages).map(([what, damage]) => ({ language, options, what, damage })),
  );

  test.each(cases)("because its $what, in $language", async ({ options, damage }) => {
    const containers = await TestContainers.open(bench, options);
    expect((await containers.runOne()).isRestored).toBe(false);
    await containers.snapshots.idle();
    expect(containers.errors).toEqual([]);
    expect((await containers.runOne()).isRestored).toBe(true);
    const ready = join(containers.dir, "ready");
    await damage(join(ready, (await readdir(ready))[0] ?? "", "checkpoint.img"));
    expect((await containers.runOne()).isRestored).toBe(false);
    expect(containers.errors).toHaveLength(1);
    expect(await readdir(join(containers.dir, "bad"))).toHaveLength(1);
    await containers.snapshots.close();
  });
});
