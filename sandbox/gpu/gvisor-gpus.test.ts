/** How runsc is called for containers with cards, held by a runsc that writes it down. */
import { mkdir, readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import type { Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { TestMachine } from "./test-machine.ts";

const SPEC: SandboxSpec = {
  containerId: "co_1",
  resources: { gpuCount: 2, cpuMilli: 500, memoryMiB: 128 },
  env: { PATH: "/bin" },
  cards: [2, 0],
};

let machine: TestMachine;
let runtime: Runtime;
beforeEach(async () => {
  machine = await TestMachine.make();
  runtime = await open();
});
afterEach(async () => {
  await machine.close();
});

async function open(hasGpus = true): Promise<Runtime> {
  const opened = await machine.open();
  if (opened.kind === "unusable") throw new Error(opened.reason);
  const { root, runsc } = machine;
  const runnerDir = join(root, "runner");
  await mkdir(runnerDir, { recursive: true });
  return createGvisorRuntime({
    ...{ dir: root, rootfs: "/images/base", runnerDir, runsc, cgroups: false },
    cgroupParent: "/flotilla/test",
    ...(hasGpus ? { gpus: opened.access } : {}),
  });
}

interface Config {
  readonly linux: { readonly devices?: readonly object[] };
  readonly mounts: readonly { readonly destination: string; readonly source: string }[];
  readonly process: { readonly capabilities: object };
}

async function started(spec: SandboxSpec, by: Runtime = runtime): Promise<Config> {
  await (
    await by.start(spec)
  ).exited;
  return JSON.parse(await readFile(join(machine.root, "config.json"), "utf8")) as Config;
}

function images(): Extract<Runtime["images"], { kind: "supported" }> {
  if (runtime.images.kind === "unsupported") throw new Error(runtime.images.reason);
  return runtime.images;
}

const ROOT = (): string => `--root=${machine.root}/runsc`;
const PLAIN = "--platform=ptrace --network=none --overlay2=none --ignore-cgroups";
const NVPROXY = "--nvproxy --nvproxy-allowed-driver-capabilities=compute,utility";

test("a container with cards has their devices and the driver's files, and no more rights", async () => {
  const { linux, mounts, process } = await started(SPEC);
  const device = { type: "c", fileMode: 0o666, uid: 0, gid: 0 };
  expect(linux.devices).toEqual([
    { path: "/dev/nvidiactl", major: 195, minor: 255, ...device },
    { path: "/dev/nvidia-uvm", major: 510, minor: 0, ...device },
    { path: "/dev/nvidia0", major: 195, minor: 0, ...device },
    { path: "/dev/nvidia3", major: 195, minor: 3, ...device },
  ]);
  expect(mounts.find(({ destination }) => destination === "/runner/nvidia")).toEqual({
    destination: "/runner/nvidia",
    type: "bind",
    source: join(machine.root, "files/550.54.15-checkpoint"),
    options: ["ro", "rbind", "nosuid", "nodev"],
  });
  // The mount has a place in the runner's folder, which is mounted before it.
  expect(existsSync(join(machine.root, "runner/nvidia"))).toBe(true);
  const names = mounts.map(({ destination }) => destination);
  expect(names.indexOf("/runner/nvidia")).toBeGreaterThan(names.indexOf("/runner"));
  expect(process.capabilities).toMatchObject({ bounding: [], effective: [] });
  const bundle = `--bundle=${machine.root}/bundles/co_1`;
  expect(await machine.calls()).toEqual([`${ROOT()} ${PLAIN} ${NVPROXY} run ${bundle} co_1`]);
});

test("a container without cards on the same node has nothing of it", async () => {
  const { containerId, resources, env } = SPEC;
  const { linux, mounts } = await started({ containerId, resources, env });
  expect(linux.devices).toBeUndefined();
  expect(JSON.stringify(mounts)).not.toContain("nvidia");
  expect((await machine.calls()).join()).not.toContain("nvproxy");
});

test("cards that are only pretended give a container no device", async () => {
  const { linux, mounts } = await started(SPEC, await open(false));
  expect(linux.devices).toBeUndefined();
  expect(JSON.stringify(mounts)).not.toContain("nvidia");
  expect((await machine.calls()).join()).not.toContain("nvproxy");
});

test("saving calls cuda-checkpoint in the container, for one with cards alone", async () => {
  const imageDir = join(machine.root, "image");
  await images().save(SPEC, imageDir);
  await images().save({ containerId: "co_2" }, imageDir);
  // This runsc can be told not to compress.
  const path = `--image-path=${imageDir} --compression=none`;
  const cuda = "--cuda-checkpoint-path=/runner/nvidia/bin/cuda-checkpoint";
  expect(await machine.calls()).toEqual([
    `${ROOT()} ${PLAIN} checkpoint ${path} ${cuda} co_1`,
    `${ROOT()} ${PLAIN} checkpoint ${path} co_2`,
  ]);
});

test("a card whose memory cannot be saved fails the save, with what was said", async () => {
  await machine.onCommand("checkpoint", "echo 'cuda-checkpoint --toggle failed: busy' >&2; exit 1");
  await expect(images().save(SPEC, join(machine.root, "image"))).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/memory of container co_1 .*busy/s) as string,
  });
});

test("a restored container gets devices, files and flags as a fresh one does", async () => {
  const imageDir = join(machine.root, "image");
  const sandbox = await images().restore(SPEC, imageDir);
  await sandbox.exited;
  const bundle = `--bundle=${machine.root}/bundles/co_1`;
  expect(await machine.calls()).toEqual([
    `${ROOT()} ${PLAIN} ${NVPROXY} restore --image-path=${imageDir} ${bundle} co_1`,
  ]);
  const config = JSON.parse(await readFile(join(machine.root, "config.json"), "utf8")) as Config;
  expect(config.linux.devices).toHaveLength(4);
});

test("images of memory tell what they depend on", async () => {
  const { gpus } = await images().probe();
  expect(gpus).toEqual({ kind: "kept", fingerprint: "550.54.15\nNVIDIA H100 80GB HBM3" });
});
