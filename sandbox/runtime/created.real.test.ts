/** Sandboxes whose runner has not begun, under the real gVisor. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { assert } from "../../core/index.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { addGuestProgram } from "../runners/guest-program.ts";
import { removeCgroup } from "./cgroups.ts";
import { createGvisorRuntime, GVISOR_FLAGS, runscRoot } from "./gvisor.ts";
import { GuestSandbox } from "./guest-sandbox.ts";
import { writeGuest } from "./guest.ts";
import type { RunningSandbox, Runtime } from "./runtime.ts";
import { tracesOf } from "./traces.ts";

const CGROUP_PARENT = `/flotilla/test-created-${process.pid}`;
const RESOURCES = { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 };
const PROCESSES = "for each in /proc/[0-9]*; do tr '\\0' ' ' < $each/cmdline; echo; done";
const UP_MS_MAX = 20_000;

let dir: string;
let runtime: Runtime;
let count = 0;
const made: RunningSandbox[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-created-"));
  const runnerDir = await writeGuest(join(dir, "runner"));
  expect(await addGuestProgram(runnerDir)).toBe(true);
  const rootfs = await prepareBaseImage(join(dir, "images"));
  runtime = createGvisorRuntime({ dir, rootfs, runnerDir, cgroupParent: CGROUP_PARENT });
});

afterEach(async () => {
  for (const sandbox of made.splice(0)) {
    sandbox.kill();
    await sandbox.exited;
  }
});

afterAll(async () => {
  await removeCgroup(CGROUP_PARENT);
  await rm(dir, { recursive: true });
});

/** One that is up: its first process can be seen. */
async function created(): Promise<{ readonly id: string; readonly sandbox: RunningSandbox }> {
  assert(runtime.create !== undefined, "this runtime has the program that waits");
  count += 1;
  const id = `co_${process.pid}_${count}`;
  const env = { PATH: "/bin", GREETING: "hello" };
  const sandbox = await runtime.create({ containerId: id, resources: RESOURCES, env });
  made.push(sandbox);
  sandbox.channel.on("error", () => undefined);
  await expect
    .poll(() => processesIn(id), { timeout: UP_MS_MAX })
    .toContain("flotilla-guest await");
  return { id, sandbox };
}

async function processesIn(id: string): Promise<string> {
  const flags = [`--root=${runscRoot(dir)}`, ...GVISOR_FLAGS];
  const command = ["exec", "--user=65534:65534", id, "/bin/sh", "-c", PROCESSES];
  const output = await promisify(execFile)("runsc", [...flags, ...command]).catch(() => undefined);
  return output?.stdout ?? "";
}

const traces = (id: string): readonly string[] => tracesOf(dir, id, `${CGROUP_PARENT}/${id}`);

test("no runner is in one until it is a container's; then it is as one that was started", async () => {
  const { id, sandbox } = await created();
  const before = await processesIn(id);
  expect(before.split("\n").filter((line) => line.startsWith("/bin/node"))).toEqual([]);
  sandbox.becomes?.("co_1");
  const guest = new GuestSandbox(id, sandbox);
  expect(await guest.answer()).toBe("started");
  expect(await guest.ask("echo", "first")).toBe("first");
  expect(await guest.ask("env")).toMatchObject({ GREETING: "hello" });
  expect(await guest.ask("whoami")).toMatchObject({ uid: 65_534, cwd: "/tmp" });
  expect(await guest.ask("connect", ["10.0.0.1", 80])).toMatch(/ENETUNREACH|EHOSTUNREACH/);
  await guest.ask("exit", 3).catch(() => undefined);
  expect(await guest.exited).toEqual({ exitCode: 3, signal: undefined, outOfMemory: false });
  expect(traces(id)).toEqual([]);
});

test("one whose agent dies ends without having run anything", async () => {
  const { id, sandbox } = await created();
  sandbox.channel.destroy();
  expect(await sandbox.exited).toMatchObject({ exitCode: 0 });
  expect(traces(id)).toEqual([]);
});

test("one that nobody wanted is killed as any other, and takes no word after that", async () => {
  const { id, sandbox } = await created();
  sandbox.kill();
  sandbox.becomes?.("co_1");
  expect(await sandbox.exited).toMatchObject({ outOfMemory: false });
  expect(traces(id)).toEqual([]);
});
