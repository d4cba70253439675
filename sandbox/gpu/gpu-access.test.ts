import { readdir, readlink, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { examineGpus, runscFaultOf, type GpuAccess } from "./gpu-access.ts";
import { parseLibraries } from "./driver-files.ts";
import { readNvidiaMachine } from "./nvidia-machine.ts";
import { probeRunscGpus } from "./runsc-gpus.ts";
import { DRIVER, TestMachine, type TestMachineTraits } from "./test-machine.ts";

let machine: TestMachine | undefined;
afterEach(async () => {
  await machine?.close();
});

async function make(traits: TestMachineTraits = {}): Promise<TestMachine> {
  machine = await TestMachine.make(traits);
  return machine;
}

async function usable(traits: TestMachineTraits = {}): Promise<GpuAccess> {
  const opened = await (await make(traits)).open();
  if (opened.kind === "unusable") throw new Error(opened.reason);
  return opened.access;
}

async function reasonOf(traits: TestMachineTraits, gpuCount = 3): Promise<string> {
  const opened = await (await make(traits)).open({ gpuCount });
  return opened.kind === "unusable" ? opened.reason : "usable";
}

test("cards are numbered by their place on the bus, whatever the driver's own numbers are", async () => {
  const { root } = await make();
  const read = await readNvidiaMachine(root);
  expect(read).toMatchObject({ driverVersion: DRIVER, majors: { gpu: 195, uvm: 510 } });
  expect(read?.cards.map(({ minor }) => minor)).toEqual([3, 1, 0]);
});

test("the version is read of the open kernel module too", async () => {
  const made = await make();
  const text =
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n";
  await made.put("proc/driver/nvidia/version", text);
  expect(await readNvidiaMachine(made.root)).toMatchObject({ driverVersion: "570.86.10" });
});

test("a machine without the driver has no cards", async () => {
  expect(await readNvidiaMachine("/nowhere")).toBeUndefined();
  const made = await make();
  await rm(join(made.root, "proc/driver/nvidia/version"));
  expect(await made.open()).toMatchObject({ kind: "unusable", reason: /not loaded/ });
});

test("a container gets the control device, unified memory and its own cards, and no other", async () => {
  const access = await usable();
  expect(access.devices([0, 2])).toEqual([
    { path: "/dev/nvidiactl", major: 195, minor: 255 },
    { path: "/dev/nvidia-uvm", major: 510, minor: 0 },
    { path: "/dev/nvidia3", major: 195, minor: 3 },
    { path: "/dev/nvidia0", major: 195, minor: 0 },
  ]);
  expect(() => access.devices([3])).toThrow("cards that the node has");
});

test("nvproxy lets containers compute and nothing else", async () => {
  const access = await usable();
  expect(access.flags).toEqual([
    "--nvproxy",
    "--nvproxy-allowed-driver-capabilities=compute,utility",
  ]);
});

test("a runsc of before the list of capabilities is not given one", async () => {
  const access = await usable({ flags: "  -nvproxy\n\tEXPERIMENTAL\n  -nvproxy-docker\n" });
  expect(access.flags).toEqual(["--nvproxy"]);
});

test("the driver's files lie in one folder: its libraries under both names, and its programs", async () => {
  const { driverDir } = await usable();
  expect((await readdir(join(driverDir, "lib64"))).sort()).toEqual([
    "libcuda.so",
    "libcuda.so.1",
    `libcuda.so.${DRIVER}`,
    "libnvidia-ml.so.1",
    `libnvidia-ml.so.${DRIVER}`,
    "libnvidia-ptxjitcompiler.so.1",
    `libnvidia-ptxjitcompiler.so.${DRIVER}`,
  ]);
  expect(await readlink(join(driverDir, "lib64/libcuda.so"))).toBe("libcuda.so.1");
  expect(await readlink(join(driverDir, "lib64/libcuda.so.1"))).toBe(`libcuda.so.${DRIVER}`);
  expect((await readdir(join(driverDir, "bin"))).sort()).toEqual(["cuda-checkpoint", "nvidia-smi"]);
  expect((await stat(join(driverDir, "bin/nvidia-smi"))).mode & 0o111).toBe(0o111);
});

test("two agents of one machine make the folder once", async () => {
  const made = await make();
  const both = await Promise.all([made.open(), made.open()]);
  expect(both).toEqual([
    expect.objectContaining({ kind: "usable" }),
    expect.objectContaining({ kind: "usable" }),
  ]);
  expect(await readdir(join(made.root, "files"))).toEqual([`${DRIVER}-checkpoint`]);
});

test.each([
  ["a runsc without nvproxy", { flags: "  -network value\n" }, /has no nvproxy/],
  ["a driver that runsc does not know", { drivers: ["535.129.03"] }, /does not know driver 550/],
  ["libraries of another version", { libraryVersion: "535.129.03" }, /no libcuda.so.550.54.15/],
  ["cards of another kind", { model: "Tesla T4" }, /0 of the 3 cards/],
] as const)("%s says what to do, and no container is given a card", async (_, traits, reason) => {
  expect(await reasonOf(traits)).toMatch(reason);
});

test("fewer cards than the node offers are too few", async () => {
  expect(await reasonOf({}, 4)).toMatch(/3 of the 4 cards/);
});

test("a device file that is missing is named", async () => {
  const made = await make();
  await rm(join(made.root, "dev/nvidia-uvm"));
  expect(await made.open()).toMatchObject({
    kind: "unusable",
    reason: /\/dev\/nvidia-uvm is missing/,
  });
});

test("what is on cards is kept where both programs can, and depends on card and driver", async () => {
  const access = await usable();
  expect(access.images).toEqual({ kind: "kept", fingerprint: `${DRIVER}\nNVIDIA H100 80GB HBM3` });
  expect(access.saveFlags).toEqual(["--cuda-checkpoint-path=/runner/nvidia/bin/cuda-checkpoint"]);
});

test.each([
  [{ hasCudaCheckpoint: false }, /cuda-checkpoint is not installed/],
  [{ checkpointHelp: "  -image-path string\n" }, /cannot call cuda-checkpoint/],
] as const)("without either program it is lost: %j", async (traits, reason) => {
  const access = await usable(traits);
  expect(access.images).toMatchObject({ kind: "lost", reason });
  expect(access.saveFlags).toEqual([]);
});

test("looking at a machine finds the same faults, and makes nothing", async () => {
  const { root, runsc } = await make({ hasCudaCheckpoint: false });
  const path = join(root, "bin");
  expect(await examineGpus({ root, runsc, path })).toEqual({
    driverVersion: DRIVER,
    lost: expect.stringContaining("cuda-checkpoint is not installed") as string,
  });
  await rm(join(root, "dev/nvidia-uvm"));
  expect(await examineGpus({ root, runsc, path })).toMatchObject({
    fault: /nvidia-uvm is missing/,
  });
  expect(await examineGpus({ root: "/nowhere", runsc, path })).toBeUndefined();
  expect(await readdir(root)).not.toContain("files");
});

test("a runsc that does not tell which drivers it knows is believed to know this one", () => {
  const can = { hasNvproxy: true, hasCapabilities: false, hasCudaCheckpoint: false };
  expect(runscFaultOf({ ...can, driverVersions: [] }, DRIVER)).toBeUndefined();
});

test("a runsc that cannot be run can do nothing", async () => {
  expect(await probeRunscGpus("/nowhere/runsc")).toEqual({
    ...{ hasNvproxy: false, hasCapabilities: false, hasCudaCheckpoint: false },
    driverVersions: [],
  });
});

test("libraries of another architecture, or not of the driver, are left out", () => {
  const output = `3 libs found
\tlibcuda.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libcuda.so.1
\tlibcuda.so.1 (libc6) => /lib/i386-linux-gnu/libcuda.so.1
\tlibcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12
\tlibnvidia-ml.so.1 (libc6,AArch64) => /lib/aarch64-linux-gnu/libnvidia-ml.so.1
`;
  expect(parseLibraries(output, "x64")).toEqual([
    { name: "libcuda.so.1", path: "/lib/x86_64-linux-gnu/libcuda.so.1" },
  ]);
  expect(parseLibraries(output, "arm64")).toEqual([
    { name: "libnvidia-ml.so.1", path: "/lib/aarch64-linux-gnu/libnvidia-ml.so.1" },
  ]);
});
