/** What is kept ready, under the real gVisor: Python that takes code, and memory that is entered. */
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { decodeValue, encodeArchive } from "../../sdk/protocol/index.ts";
import { preparePythonImage } from "../images/python-image.ts";
import { TestRunner } from "../runners/node/test-runner.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import type { RunningSandbox, SandboxSpec } from "../runtime/runtime.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { RealBench } from "../snapshots/test-real.ts";
import { systemClock as clock } from "../system-clock.ts";
import { bootedKind } from "./booted.ts";
import { ReadyPool, type ReadyKind } from "./ready-pool.ts";

const LOOKS_MAX = 600;

let bench: RealBench;
let pool: ReadyPool | undefined;

beforeEach(async () => {
  bench = await RealBench.open();
});

afterEach(async () => {
  await pool?.close();
  await bench.close();
});

/** A pool of one kind, with so many in it. */
async function poolOf(kind: ReadyKind, count: number): Promise<ReadyPool> {
  const opened = new ReadyPool({
    clock,
    countMax: count,
    usual: [],
    expected: () => [{ kind, count }],
    hasRoom: () => true,
    onError: (error) => {
      throw error;
    },
  });
  pool = opened;
  opened.fill();
  for (let look = 0; look < LOOKS_MAX && opened.kept.length < count; look += 1) {
    await clock.sleep(50);
  }
  expect(opened.kept).toHaveLength(count);
  return opened;
}

function taken(from: ReadyPool, kind: ReadyKind): TestRunner {
  const sandbox: RunningSandbox | undefined = from.take(kind, "co_1");
  if (sandbox === undefined) throw new Error("none is ready");
  return new TestRunner(sandbox);
}

async function answerOf(runner: TestRunner): Promise<unknown> {
  runner.give({ in_1: 1 });
  return decodeValue((await runner.answer("in_1")).payload);
}

test("a booted Python takes code, environment and inputs, and the next one knows none of it", async () => {
  const spec: Omit<SandboxSpec, "containerId"> = {
    runner: "python",
    resources: { gpuCount: 0, cpuMilli: 500, memoryMiB: 512 },
    env: { PATH: "/usr/bin:/bin", HOME: "/tmp", TMPDIR: "/tmp" },
  };
  const runtime = createGvisorRuntime({
    dir: bench.dir,
    rootfs: "/nonexistent",
    pythonRootfs: () => preparePythonImage(join(bench.dir, "images")),
    runnerDir: await bundleRunner(join(bench.dir, "runners")),
    cgroupParent: `/flotilla/test-pools-${process.pid}`,
  });
  const kind = bootedKind(runtime, spec);
  const ready = await poolOf(kind, 2);
  const python = { module: "model", handler: "f" };
  const names = { functionName: "f", appName: "app" };
  const answers: unknown[] = [];
  for (const secret of ["of the first", "of the second"]) {
    const runner = taken(ready, kind);
    const source = `import os\nleft = os.listdir("/tmp")\ndef f(x): return [os.environ["SECRET"], left]\n`;
    const archive = encodeArchive([{ path: "model.py", data: Buffer.from(source) }]);
    runner.say({ type: "boot", ...names, env: { SECRET: secret }, python }, [archive]);
    expect(
      await runner.hear(({ type }) => type === "ready" || type === "load_failed"),
    ).toMatchObject({
      type: "ready",
    });
    answers.push(await answerOf(runner));
    await runner.end();
  }
  expect(answers).toEqual([
    ["of the first", ["app"]],
    ["of the second", ["app"]],
  ]);
});

test("memory restored ahead of its container draws numbers of its own and has its environment", async () => {
  const imageDir = await bench.imageOf(`
    import { randomUUID } from "node:crypto";
    randomUUID();
    export const main = () => [process.env.SECRET, randomUUID(), Math.random()];
  `);
  const kind: ReadyKind = {
    key: "restored",
    spec: bench.spec(),
    make: (spec) => bench.images.restore(spec, imageDir),
  };
  const ready = await poolOf(kind, 2);
  // They wait for a while: nobody has entered them, and they stay.
  await clock.sleep(500);
  const isDeaf = bench.traits.restoredAreDeaf;
  const drawn: unknown[] = [];
  for (const secret of ["a", "b"]) {
    const runner = taken(ready, kind);
    runner.say({ type: "enter", env: { SECRET: secret }, isDeaf }, [randomBytes(64)]);
    await runner.hear(({ type }) => type === "ready");
    drawn.push(...((await answerOf(runner)) as readonly unknown[]));
    await runner.end();
  }
  expect(drawn.filter((value) => value === "a" || value === "b")).toEqual(["a", "b"]);
  expect(new Set(drawn).size).toBe(6);
});
