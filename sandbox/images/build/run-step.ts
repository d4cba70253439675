/**
 * Runs one build step in gVisor and gives the code it ended with.
 *
 * The step is root in its sandbox, with the capabilities that package managers need, limits on
 * memory and processes, and a network whose only end is the build's proxy. Cancelling kills the
 * namespaces of the step, and so everything in them.
 */
import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Clock } from "../../../core/index.ts";
import { removeCgroup } from "../../runtime/cgroups.ts";
import { LineSplitter } from "../../agent/line-splitter.ts";
import { wrongImage } from "../oci/image-error.ts";
import { startBuildProxy } from "./build-proxy.ts";
import type { HostIndexes } from "./host-indexes.ts";
import type { LayerStore } from "./layer-store.ts";
import { XATTRS_FILE } from "./layer-xattrs.ts";
import { RELAY_PORT, type StepProcessSettings } from "./step-process.ts";
import { keepStepXattrs } from "./step-xattrs.ts";

export interface StepRun {
  /** Layers before the step, the topmost first, as keys; none: it works on `tree` itself. */
  readonly lower: readonly string[];
  /** The step's folder on the store's disk; its changes end up in `<work>/tree`. */
  readonly work: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** Files for the step, readable under `INPUTS_DIR` while it runs. */
  readonly inputs?: Readonly<Record<string, Uint8Array>>;
  /** Folders of this machine for the step to read, by their names under `INPUTS_DIR`. */
  readonly folders?: Readonly<Record<string, string>>;
  readonly onLine: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface StepRunner {
  /** Runs it to its end. @throws PlatformError; the signal's reason when it was cancelled */
  run(step: StepRun): Promise<number>;
}

export interface StepRunnerOptions {
  readonly store: LayerStore;
  readonly indexes: () => HostIndexes;
  readonly clock: Pick<Clock, "sleep">;
  readonly runsc?: string;
}

/** Where a step finds its inputs; not part of the image. */
export const INPUTS_DIR = "/.flotilla-build";
const STEP_PROCESS = fileURLToPath(new URL("./step-process.ts", import.meta.url));
const NAMESPACES = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
const MEMORY_BYTES_MAX = 8 * 1024 ** 3;
const PIDS_MAX = 4_096;
const FILES_MAX = 65_536;
const LINE_CHARACTERS_MAX = 4_000;
/** A step ends when the disk has less than this left. */
const FREE_BYTES_MIN = 1024 ** 3;
const DISK_CHECK_MS = 2_000;
/** Source: the default capabilities of containers under Docker 27, without raw sockets. */
const CAPABILITIES = [
  ...["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"],
  ...["NET_BIND_SERVICE", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"],
].map((name) => `CAP_${name}`);

let stepCount = 0;

export function createStepRunner(options: StepRunnerOptions): StepRunner {
  return { run: (step) => runStep(step, options) };
}

async function runStep(step: StepRun, options: StepRunnerOptions): Promise<number> {
  const { work, signal } = step;
  signal.throwIfAborted();
  const { runsc = "runsc", store, indexes } = options;
  stepCount += 1;
  const name = `flotilla-build-${process.pid}-${stepCount}`;
  const scratch = join(work, "scratch");
  for (const folder of [
    "tree",
    "scratch/inputs",
    "scratch/tmp",
    "scratch/overlay",
    "scratch/root",
  ]) {
    await mkdir(join(work, folder), { recursive: true });
  }
  const host = indexes();
  await writeInputs(join(scratch, "inputs"), step, host);
  // The path of a socket may not be long, and that of the store may be.
  const socketDir = await mkdtemp(join(tmpdir(), "flotilla-build-"));
  const proxySocket = join(socketDir, "proxy");
  await chmod(join(scratch, "tmp"), 0o1777);
  const proxy = await startBuildProxy({
    socketPath: proxySocket,
    indexes: host,
    onRefused: step.onLine,
  });
  const tree = join(work, "tree");
  await mkdir(join(tree, INPUTS_DIR), { recursive: true });
  const root = step.lower.length === 0 ? tree : join(scratch, "root");
  const bundle = join(scratch, "bundle");
  await mkdir(bundle);
  await writeFile(
    join(bundle, "config.json"),
    JSON.stringify(configOf(step, { root, scratch, name }, host)),
  );
  const state = join(scratch, "runsc");
  // A current gVisor would keep what is written to itself.
  const flags = [`--root=${state}`, "--platform=ptrace", "--network=host", "--overlay2=none"];
  const settings: StepProcessSettings = {
    runsc,
    runscArguments: [...flags, "run", `--bundle=${bundle}`, name],
    proxySocket,
    ...(step.lower.length === 0
      ? {}
      : {
          mount: {
            layersDir: store.layersDir,
            lower: step.lower.map((key) => `${key}/tree`),
            upper: { dir: tree, workDir: join(scratch, "overlay") },
            target: root,
          },
        }),
  };
  try {
    const code = await spawned(settings, step, options);
    await rm(join(tree, INPUTS_DIR), { recursive: true, force: true });
    if (code === 0) await keepStepXattrs(tree, join(work, XATTRS_FILE));
    return code;
  } finally {
    await proxy.close();
    await rm(socketDir, { recursive: true, force: true });
    await removeCgroup(`/${name}`);
    await rm(scratch, { recursive: true, force: true });
  }
}

async function spawned(
  settings: StepProcessSettings,
  { onLine, signal }: StepRun,
  { store, clock }: StepRunnerOptions,
): Promise<number> {
  const args = [...NAMESPACES, "--propagation", "private", process.execPath, STEP_PROCESS];
  const child = spawn("unshare", [...args, JSON.stringify(settings)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin" },
  });
  const ended = new AbortController();
  const kill = (): void => void child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });
  const disk = { isFull: false };
  const watchDisk = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      disk.isFull = (await store.freeBytes()) < FREE_BYTES_MIN;
      if (disk.isFull) kill();
      await clock.sleep(DISK_CHECK_MS, ended.signal);
    }
  };
  const watching = watchDisk();
  for (const stream of [child.stdout, child.stderr]) {
    const splitter = new LineSplitter(LINE_CHARACTERS_MAX);
    stream.on("data", (chunk: Uint8Array) => splitter.push(chunk).forEach(onLine));
    stream.on("end", () => {
      const last = splitter.end();
      if (last !== undefined) onLine(last);
    });
  }
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (exitCode) => resolve(exitCode ?? 137));
    });
    signal.throwIfAborted();
    if (disk.isFull) {
      throw wrongImage("the step was ended because the disk of the builder is nearly full", {
        code: "quota_exceeded",
      });
    }
    return code;
  } finally {
    signal.removeEventListener("abort", kill);
    ended.abort();
    await watching;
  }
}

async function writeInputs(dir: string, { inputs = {}, folders = {} }: StepRun, host: HostIndexes) {
  const all = host.certificates === undefined ? inputs : { ...inputs, "ca.pem": host.certificates };
  for (const [name, bytes] of Object.entries(all)) await writeFile(join(dir, name), bytes);
  for (const name of Object.keys(folders)) await mkdir(join(dir, name), { recursive: true });
}

/** Variables by which a step finds the way out; they are not part of the image. */
export function networkVariables(host: HostIndexes): Readonly<Record<string, string>> {
  const proxy = `http://127.0.0.1:${RELAY_PORT}`;
  const pem = `${INPUTS_DIR}/ca.pem`;
  const certificateNames = [
    ...["SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"],
    ...["NODE_EXTRA_CA_CERTS", "npm_config_cafile"],
  ];
  const proxyNames = ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"];
  return {
    ...Object.fromEntries(proxyNames.map((name) => [name, proxy])),
    ...(host.certificates === undefined
      ? {}
      : Object.fromEntries(certificateNames.map((name) => [name, pem]))),
    ...host.variables,
  };
}

interface Places {
  readonly root: string;
  readonly scratch: string;
  readonly name: string;
}

function configOf(step: StepRun, { root, scratch, name }: Places, host: HostIndexes): object {
  const env = { ...networkVariables(host), ...step.env };
  const bind = (source: string, destination: string, ...options: readonly string[]) => ({
    destination,
    type: "bind",
    source,
    options: ["rbind", ...options],
  });
  const folders = Object.entries(step.folders ?? {});
  return {
    ociVersion: "1.0.2",
    process: {
      user: { uid: 0, gid: 0 },
      args: step.args,
      env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
      cwd: step.workdir,
      capabilities: {
        bounding: CAPABILITIES,
        effective: CAPABILITIES,
        permitted: CAPABILITIES,
        inheritable: [],
        ambient: [],
      },
      rlimits: [{ type: "RLIMIT_NOFILE", hard: FILES_MAX, soft: FILES_MAX }],
    },
    root: { path: root, readonly: false },
    hostname: "build",
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      { destination: "/sys", type: "sysfs", source: "sysfs", options: ["ro"] },
      { destination: "/dev", type: "tmpfs", source: "tmpfs" },
      bind(join(scratch, "tmp"), "/tmp"),
      bind(join(scratch, "inputs"), INPUTS_DIR, "ro"),
      ...folders.map(([folder, source]) => bind(source, `${INPUTS_DIR}/${folder}`, "ro")),
    ],
    linux: {
      cgroupsPath: `/${name}`,
      // No network namespace: the one of the process around it is meant.
      namespaces: ["pid", "ipc", "uts", "mount"].map((type) => ({ type })),
      resources: {
        memory: { limit: Math.min(MEMORY_BYTES_MAX, Math.floor(totalmem() / 2)) },
        pids: { limit: PIDS_MAX },
      },
    },
  };
}
