/** The OCI configuration of a container: the least that a function needs. */
import { totalmem } from "node:os";
import { DRIVER_MOUNT } from "../gpu/driver-files.ts";
import type { NvidiaDevice } from "../gpu/nvidia-machine.ts";
import { cpuMaxMilli, memoryMaxMiB, oomScoreOf, type Sized } from "./limits.ts";
import { EGRESS_MOUNT, type SandboxSpec } from "./runtime.ts";

/** Memory that gVisor's own kernel takes inside the container's limit. */
export const SENTRY_MEMORY_MIB = 48;
/** Whom programs in a container run as. */
export const USER_ID = 65_534;
/** Processes and threads; gVisor counts its own threads too. */
export const PIDS_MAX = 512;
/** Files that one process may have open. */
export const FILES_MAX = 4_096;
/** Most that a container may keep in its temporary folder. */
export const TMP_MIB = 256;
/** Most that it may keep in the folder of memory that its processes share. */
export const SHARED_MEMORY_MIB = 64;
const CPU_PERIOD_US = 100_000;
const SHARES_PER_CORE = 1_024;
const SHARES_MIN = 2;
const BYTES_PER_MIB = 1024 * 1024;

/** What Node starts unless told otherwise (node(1), `--v8-pool-size`, v24). */
const V8_THREADS_USUAL = 4;

export interface OciPaths {
  /** Root file system, shared by all containers and read-only to them. */
  readonly rootfs: string;
  /** Folder of the runner, mounted at `/runner`. */
  readonly runnerDir: string;
  readonly cgroupsPath: string;
  /** Its cards, if it has real ones. */
  readonly gpus?: OciGpus;
  /** What starts the program and waits for orphans; empty makes the program the first process. */
  readonly init?: readonly string[];
}

export interface OciGpus {
  readonly devices: readonly NvidiaDevice[];
  /** Folder of the driver's files, mounted at `DRIVER_MOUNT`, which the runner's folder has. */
  readonly driverDir: string;
}

/**
 * The `config.json` of a container that runs `args`.
 *
 * No capability, no new privileges, no network, a user without rights, a read-only root, and
 * limits on memory, processor, processes and files. Source: OCI runtime specification 1.0.2.
 */
export function ociSpecOf(spec: SandboxSpec, paths: OciPaths, args: readonly string[]): object {
  const { memoryMiB: reservedMiB, cpuMilli } = spec.resources;
  const memoryMiB = memoryMaxMiB(spec);
  const nothing: readonly string[] = [];
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: USER_ID, gid: USER_ID },
      args: [...(paths.init ?? []), ...programIn(spec, args)],
      env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
      cwd: spec.image?.workdir ?? "/tmp",
      noNewPrivileges: true,
      oomScoreAdj: oomScoreOf(reservedMiB, totalmem() / BYTES_PER_MIB),
      capabilities: {
        bounding: nothing,
        effective: nothing,
        permitted: nothing,
        inheritable: nothing,
        ambient: nothing,
      },
      rlimits: [
        { type: "RLIMIT_NOFILE", hard: FILES_MAX, soft: FILES_MAX },
        { type: "RLIMIT_CORE", hard: 0, soft: 0 },
      ],
    },
    root: { path: spec.image?.rootfs ?? paths.rootfs, readonly: spec.diskMiB === undefined },
    hostname: spec.containerId.slice(0, 63).replaceAll("_", "-"),
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      writableFolder("/tmp", Math.min(TMP_MIB, memoryMiB)),
      writableFolder("/dev/shm", Math.min(SHARED_MEMORY_MIB, memoryMiB)),
      {
        destination: "/runner",
        type: "bind",
        source: paths.runnerDir,
        options: ["ro", "rbind", "nosuid", "nodev"],
      },
      ...driverMounts(paths.gpus),
      ...egressMounts(spec.egressDir),
      ...volumeMounts(spec.volumes),
    ],
    linux: {
      cgroupsPath: paths.cgroupsPath,
      namespaces: ["pid", "ipc", "uts", "mount", "network"].map((type) => ({ type })),
      ...(paths.gpus === undefined ? {} : { devices: paths.gpus.devices.map(deviceOf) }),
      resources: {
        memory: { limit: memoryLimitBytes(spec) },
        pids: { limit: PIDS_MAX },
        cpu: {
          shares: Math.max(SHARES_MIN, Math.round((cpuMilli * SHARES_PER_CORE) / 1_000)),
          period: CPU_PERIOD_US,
          quota: Math.round((cpuMaxMilli(spec) * CPU_PERIOD_US) / 1_000),
        },
      },
    },
  };
}

/** A device file; its mode is what the driver's own have. */
function deviceOf({ path, major, minor }: NvidiaDevice): object {
  return { path, type: "c", major, minor, fileMode: 0o666, uid: 0, gid: 0 };
}

/** The driver's libraries and programs. */
function driverMounts(gpus: OciGpus | undefined): readonly object[] {
  if (gpus === undefined) return [];
  const options = ["ro", "rbind", "nosuid", "nodev"];
  return [{ destination: DRIVER_MOUNT, type: "bind", source: gpus.driverDir, options }];
}

/** The folder with the socket of the container's proxy. */
function egressMounts(source: string | undefined): readonly object[] {
  if (source === undefined) return [];
  const options = ["ro", "rbind", "nosuid", "nodev", "noexec"];
  return [{ destination: EGRESS_MOUNT, type: "bind", source, options }];
}

/** Folders that it shares with others, after all that may hold them. */
function volumeMounts(volumes: SandboxSpec["volumes"] = []): readonly object[] {
  const options = ["rw", "rbind", "nosuid", "nodev"];
  return volumes.map(({ source, path }) => {
    return { destination: path, type: "bind", source, options };
  });
}

/** Most that all processes of a container may hold, gVisor's own among them. */
export function memoryLimitBytes(sized: Sized): number {
  return (memoryMaxMiB(sized) + SENTRY_MEMORY_MIB) * BYTES_PER_MIB;
}

/** A folder in the container's own memory, which ends at its size. */
function writableFolder(destination: string, sizeMiB: number): object {
  const options = ["nosuid", "nodev", "mode=1777", `size=${sizeMiB}m`];
  return { destination, type: "tmpfs", source: "tmpfs", options };
}

/** How Node is started as the runner in a container of this size. */
export function runnerArguments(node: string, runnerFile: string, sized: Sized): string[] {
  // The heap ends before the container does, so that running out gives an error with a reason.
  const heapMiB = Math.max(32, Math.floor(memoryMaxMiB(sized) * 0.8));
  // Threads beside the main one that compile and collect: each costs a start some milliseconds.
  const threads = Math.min(V8_THREADS_USUAL, Math.ceil(sized.resources.cpuMilli / 1_000));
  return [
    node,
    "--enable-source-maps",
    `--v8-pool-size=${threads}`,
    `--max-old-space-size=${heapMiB}`,
    "--no-warnings",
    runnerFile,
  ];
}

/** Node is where the image says; Python is found in the image by its path. */
function programIn({ image, runner }: SandboxSpec, args: readonly string[]): readonly string[] {
  return image === undefined || runner === "python" ? args : [image.node, ...args.slice(1)];
}
