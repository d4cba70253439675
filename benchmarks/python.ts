/**
 * What a fork of a loaded Python costs under gVisor: `zygote_fork_p50_ms`, the time from an
 * input to its result in a process that is forked for it. Its yardstick is a whole container of
 * the same function: `runsc`, Python, the import and the first result. Both load a good part of
 * the standard library, as model code does.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareBaseImage } from "../sandbox/images/base-image.ts";
import { preparePythonImage } from "../sandbox/images/python-image.ts";
import { bundleRunner } from "../sandbox/runners/bundle-runner.ts";
import { TestRunner } from "../sandbox/runners/node/test-runner.ts";
import { removeCgroup } from "../sandbox/runtime/cgroups.ts";
import { createGvisorRuntime } from "../sandbox/runtime/gvisor.ts";
import type { Runtime } from "../sandbox/runtime/runtime.ts";
import { encodeArchive } from "../sdk/protocol/index.ts";
import { quantile, type Report } from "./harness.ts";

const FORKS = 40;
const CONTAINERS = 5;
const CGROUP_PARENT = `/flotilla/bench-python-${process.pid}`;
const RESOURCES = { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 1_024 };
const SOURCE = `import asyncio, csv, ctypes, decimal, email, hashlib, http.client, json, logging
import multiprocessing, random, sqlite3, ssl, tarfile, threading, unittest, urllib.request, uuid
import xml.etree.ElementTree, zipfile

def f(seconds):
    threading.Event().wait(seconds)
    return seconds
`;

export async function run(report: Report): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-bench-python-"));
  try {
    const runtime = createGvisorRuntime({
      dir,
      rootfs: await prepareBaseImage(join(dir, "images")),
      pythonRootfs: () => preparePythonImage(join(dir, "images")),
      runnerDir: await bundleRunner(join(dir, "runners")),
      cgroupParent: CGROUP_PARENT,
    });
    // The first one makes the image, which belongs to no measure.
    await firstResultMs(runtime, "warm-up");
    const wholeMs: number[] = [];
    for (let count = 0; count < CONTAINERS; count += 1) {
      wholeMs.push(await firstResultMs(runtime, `whole-${count}`));
    }
    report.note(`${CONTAINERS} containers started`);
    const forksMs = await forkedResultsMs(runtime);
    const baseline = quantile(wholeMs, 0.5);
    const unit = "ms";
    report.figure({ metric: "zygote_fork_p50_ms", value: quantile(forksMs, 0.5), unit, baseline });
    report.figure({ metric: "zygote_fork_p95_ms", value: quantile(forksMs, 0.95), unit, baseline });
  } finally {
    await removeCgroup(CGROUP_PARENT);
    await rm(dir, { recursive: true, force: true });
  }
}

/** Milliseconds from nothing to the first result of a container, which is ended. */
async function firstResultMs(runtime: Runtime, containerId: string): Promise<number> {
  const beganAtMs = performance.now();
  const runner = await boot(runtime, containerId, 1);
  runner.give({ first: 0 });
  await runner.answer("first");
  const tookMs = performance.now() - beganAtMs;
  await runner.end();
  return tookMs;
}

/** Milliseconds from an input to its result, each in a process that is forked for it. */
async function forkedResultsMs(runtime: Runtime): Promise<readonly number[]> {
  const runner = await boot(runtime, "zygote", FORKS + 1);
  const tookMs: number[] = [];
  for (let count = 0; count < FORKS; count += 1) {
    const beganAtMs = performance.now();
    runner.give({ [`fork${count}`]: 0 });
    await runner.answer(`fork${count}`);
    tookMs.push(performance.now() - beganAtMs);
    // Takes the process that is idle now, so that the next input needs another.
    runner.give({ [`sleep${count}`]: 600 });
  }
  await runner.end();
  return tookMs;
}

async function boot(runtime: Runtime, containerId: string, maxInputs: number): Promise<TestRunner> {
  const env = { PATH: "/usr/bin:/bin", HOME: "/tmp", TMPDIR: "/tmp" };
  const spec = { containerId, resources: RESOURCES, env, runner: "python" } as const;
  const runner = new TestRunner(await runtime.start(spec));
  const python = { module: "model", handler: "f", workers: workersOf(maxInputs) };
  const names = { functionName: "f", appName: "bench" };
  const archive = encodeArchive([{ path: "model.py", data: Buffer.from(SOURCE) }]);
  runner.say({ type: "boot", ...names, env, maxInputs, python }, [archive]);
  await runner.hear(({ type }) => type === "ready");
  return runner;
}

function workersOf(maxInputs: number): "processes" | "threads" {
  return maxInputs > 1 ? "processes" : "threads";
}
