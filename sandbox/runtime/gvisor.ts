/**
 * Containers under gVisor: one `runsc run` per container, attached.
 *
 * The container's state lies in `<dir>/runsc`; a folder per container holds its bundle. When
 * this process dies the containers see the end of their channel and end by themselves; what is
 * left is ended by `reap`.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import { assert } from "../../core/index.ts";
import { DRIVER_MOUNT } from "../gpu/driver-files.ts";
import type { GpuAccess } from "../gpu/gpu-access.ts";
import { RUNNER_FILE } from "../runners/bundle-runner.ts";
import { GUEST_FILE } from "../runners/guest-program.ts";
import { cgroupUse } from "./cgroup-use.ts";
import { lacksMemory, missingControllers, removeCgroup } from "./cgroups.ts";
import { createChannelPair } from "./channel.ts";
import { attachable } from "./gvisor-attach.ts";
import { probeImages, saveImage, type RunscCall } from "./gvisor-images.ts";
import { watchMemory } from "./memory-watch.ts";
import { makeContainerRoot, unmountContainerRoot, type ContainerRoot } from "./container-root.ts";
import {
  memoryLimitBytes,
  ociSpecOf,
  runnerArguments,
  type OciGpus,
  type OciPaths,
} from "./oci-spec.ts";
import { pythonArguments } from "./python-launch.ts";
import type {
  ImageTraits,
  MemoryImages,
  RunningSandbox,
  Runtime,
  SandboxExit,
  SandboxSpec,
} from "./runtime.ts";
import { cannotStart, spawned } from "./spawned.ts";

export interface GvisorOptions {
  /** Folder of all that this runtime keeps. */
  readonly dir: string;
  /** Root file system of the containers. */
  readonly rootfs: string;
  /** That of containers of Python, made when first needed. */
  readonly pythonRootfs?: () => Promise<string>;
  readonly runnerDir: string;
  /** How containers get cards; absent where there are none, or only pretended ones. */
  readonly gpus?: GpuAccess;
  /** Parent of the containers' control groups. */
  readonly cgroupParent: string;
  /** The runsc program; from the PATH by default. */
  readonly runsc?: string;
  /** Whether limits are control groups; found out by default. */
  readonly cgroups?: boolean;
}

/** Exit code of `runsc run` when its container was killed (128 + SIGKILL). */
const KILLED = 137;
/** How gVisor ends when the kernel has killed one of its processes: as a Go program that panics. */
const PANICKED = 2;

/**
 * How every sandbox is run: no network, the platform that needs no device, and what is written to
 * its root is written to the node's disk, where it is limited and read for images.
 */
export const GVISOR_FLAGS = ["--platform=ptrace", "--network=none", "--overlay2=none"] as const;

/** Where runsc keeps the state of the containers of `dir`. */
export function runscRoot(dir: string): string {
  return join(dir, "runsc");
}

export function createGvisorRuntime(options: GvisorOptions): Runtime {
  const { dir, runnerDir, cgroupParent, runsc = "runsc" } = options;
  const { cgroups = missingControllers().length === 0 } = options;
  const limitFlags = cgroups ? [] : ["--ignore-cgroups"];
  const globalFlags = [`--root=${runscRoot(dir)}`, ...GVISOR_FLAGS, ...limitFlags];
  const env = { PATH: process.env["PATH"] ?? "/usr/bin:/bin" };
  const call = { runsc, globalFlags, env };
  const hasGuest = existsSync(join(runnerDir, GUEST_FILE));

  const launch: Launch = async (spec, command, first = "init") => {
    const { containerId } = spec;
    const init = hasGuest ? [`/runner/${GUEST_FILE}`, first] : [];
    const bundle = join(dir, "bundles", containerId);
    // The inner group goes with runsc; what happened in it is read from the outer one.
    const group = `${cgroupParent}/${containerId}`;
    const cgroupsPath = `${group}/inner`;
    const clear = (): Promise<void> => clearAway({ containerId, dir, bundle, group });
    const limitBytes = memoryLimitBytes(spec);
    const program = await programOf(spec, options);
    const gpus = await ociGpusOf(spec, options);
    const paths = { ...program, runnerDir, cgroupsPath, init, ...(gpus && { gpus }) };
    const written = await prepareBundle(bundle, spec, paths).catch((error: unknown) =>
      cannotStart(runsc, error, clear),
    );
    const { ours, theirs } = await createChannelPair();
    const flags = [...globalFlags, ...flagsOf(spec, options), ...command];
    const words = [...flags, `--bundle=${bundle}`, containerId];
    const child = spawn(runsc, words, { stdio: [theirs, "pipe", "pipe"], env });
    theirs.destroy();
    let killing: Promise<void> | undefined;
    let isOverLimit = false;
    const exited = new Promise<SandboxExit>((resolve) => {
      child.once("close", (code, signal) => {
        ours.destroy();
        const hasDied = code === KILLED || (code === PANICKED && lacksMemory(group, limitBytes));
        const outOfMemory = isOverLimit || (killing === undefined && hasDied);
        const exit = { exitCode: code ?? undefined, signal: signal ?? undefined, outOfMemory };
        const end = (): void => resolve(exit);
        Promise.resolve(killing).then(clear).then(end, end);
      });
    });
    await spawned(child).catch((error: unknown) => {
      ours.destroy();
      return cannotStart(runsc, error, clear);
    });
    const kill = (): void => {
      const isGone = child.exitCode !== null || child.signalCode !== null;
      if (isGone || killing !== undefined) return;
      ours.destroy();
      killing = killContainer(call, containerId).then((isKilled) => {
        // Too early for runsc to know the container: its own process still ends it.
        if (!isKilled) child.kill("SIGKILL");
      });
    };
    if (!cgroups) {
      watchMemory(child, limitBytes, () => {
        isOverLimit = true;
        kill();
      });
    }
    const { stdout, stderr } = child;
    const more = { ...useOf(cgroups, cgroupsPath), ...(written && { written }) };
    const made = { channel: ours, stdout, stderr, exited, kill, ...more };
    const sandbox = first === "await" ? { ...made, becomes: () => begin(ours) } : made;
    return hasGuest ? attachable(sandbox, call, spec) : sandbox;
  };

  return {
    isolation: "gvisor",
    images: imagesOf(options, call, launch),
    start: (spec) => launch(spec, ["run"]),
    ...(hasGuest ? { create: (spec) => launch(spec, ["run"], "await") } : {}),
  };
}

/** Flags of a sandbox's own, for what it may reach. */
function flagsOf({ egressDir, cards }: SandboxSpec, { gpus }: GvisorOptions): readonly string[] {
  // The only sockets of this machine that a container can open are those of its own proxy.
  const udsFlags = egressDir === undefined ? [] : ["--host-uds=open"];
  return cards === undefined ? udsFlags : [...udsFlags, ...(gpus?.flags ?? [])];
}

/** Says what the first process of a sandbox that was created waits for (`await` in guest.c). */
function begin(channel: Duplex): void {
  if (channel.writable) channel.write(new Uint8Array(1));
}

/** `first` says what the first process does, where there is one beside the runner. */
type Launch = (
  spec: SandboxSpec,
  command: readonly [name: string, ...flags: readonly string[]],
  first?: "init" | "await",
) => Promise<RunningSandbox>;

function imagesOf(options: GvisorOptions, call: RunscCall, launch: Launch): MemoryImages {
  return {
    kind: "supported",
    probe: () => traitsOf(options),
    save: ({ containerId, cards }, imageDir) => {
      const flags = cards === undefined ? [] : (options.gpus?.saveFlags ?? []);
      return saveImage(call, { containerId, flags }, imageDir);
    },
    restore: (spec, imageDir) => launch(spec, ["restore", `--image-path=${imageDir}`]),
  };
}

/** What its images of memory are like; on other machines the programs in them must be the same. */
async function traitsOf({
  runsc = "runsc",
  rootfs,
  runnerDir,
  gpus,
}: GvisorOptions): Promise<ImageTraits> {
  const traits = await probeImages(runsc);
  const programs = [rootfs, runnerDir].map((folder) => basename(folder));
  const parts = [traits.fingerprint, process.version, ...programs];
  const fingerprint = createHash("sha256").update(parts.join("\n")).digest("hex");
  return { ...traits, fingerprint, ...(gpus && { gpus: gpus.images }) };
}

/** The cards of a container, where the node has real ones. */
async function ociGpusOf(
  { cards }: SandboxSpec,
  { gpus, runnerDir }: GvisorOptions,
): Promise<OciGpus | undefined> {
  if (gpus === undefined || cards === undefined) return undefined;
  // The folder that the driver's is mounted on, in one that every root file system has.
  await mkdir(join(runnerDir, basename(DRIVER_MOUNT)), { recursive: true });
  return { devices: gpus.devices(cards), driverDir: gpus.driverDir };
}

/** How its use is read, where its limits are a control group. */
function useOf(hasCgroup: boolean, path: string): Pick<RunningSandbox, "use"> {
  return hasCgroup ? { use: () => cgroupUse(path) } : {};
}

/** Whether runsc could kill a container. */
async function killContainer(
  { runsc, globalFlags }: RunscCall,
  containerId: string,
): Promise<boolean> {
  const killer = spawn(runsc, [...globalFlags, "kill", containerId, "KILL"], { stdio: "ignore" });
  return new Promise((resolve) => {
    killer.once("error", () => resolve(false));
    killer.once("close", (code) => resolve(code === 0));
  });
}

/** What runs in a container, and the root file system that it is found in. */
async function programOf(
  spec: SandboxSpec,
  { rootfs, pythonRootfs }: GvisorOptions,
): Promise<{ readonly rootfs: string; readonly args: readonly string[] }> {
  if (spec.runner !== "python") {
    const file = `/runner/${RUNNER_FILE}`;
    return { rootfs, args: runnerArguments("/bin/node", file, spec) };
  }
  const args = pythonArguments("python3", "/runner");
  if (spec.image !== undefined) return { rootfs, args };
  assert(pythonRootfs !== undefined, "a container of Python needs a root file system with it");
  return { rootfs: await pythonRootfs(), args };
}

async function prepareBundle(
  bundle: string,
  wanted: SandboxSpec,
  program: OciPaths & { readonly args: readonly string[] },
): Promise<ContainerRoot["written"]> {
  await mkdir(bundle, { recursive: true });
  const { spec, rootfs, written } = await makeContainerRoot(wanted, bundle, program.rootfs);
  const config = ociSpecOf(spec, { ...program, rootfs }, program.args);
  await writeFile(join(bundle, "config.json"), JSON.stringify(config));
  return written;
}

/** Removes what is left of a container; a runsc that was killed removes nothing itself. */
async function clearAway(container: {
  readonly containerId: string;
  readonly dir: string;
  readonly bundle: string;
  readonly group: string;
}): Promise<void> {
  const { containerId, dir, bundle, group } = container;
  await removeCgroup(group);
  await unmountContainerRoot(bundle);
  const state = join(runscRoot(dir), `${containerId}_sandbox:${containerId}`);
  const paths = [bundle, `${state}.state`, `${state}.lock`];
  await Promise.all(paths.map((path) => rm(path, { recursive: true, force: true })));
}
