/**
 * The checks of `flotilla doctor`. Each says what it found; none changes anything, and none
 * reads a secret: of credentials it looks at presence only.
 */
import { execFile } from "node:child_process";
import { access, constants, statfs } from "node:fs/promises";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../core/index.ts";
import { examineGpus } from "../../sandbox/index.ts";
import { gpuFindingOf } from "./doctor-gpus.ts";
import type { Finding } from "./finding.ts";
import { flotillaHome, readClientSettings } from "./client-file.ts";

const NODE_MAJOR_MIN = 24;
/** BullMQ needs 6.2 (https://docs.bullmq.io, 2026-11). */
const REDIS_VERSION_MIN = [6, 2] as const;
const DISK_BYTES_MIN = 1024 ** 3;
const COMMAND_MS_MAX = 20_000;

const run = promisify(execFile);

/** Runs every check side by side. @returns The findings in a fixed order. */
export async function examine(dataDir = flotillaHome()): Promise<readonly Finding[]> {
  const [parts, platform] = await Promise.all([
    Promise.all([
      ...[checkRedis(), checkRunsc(), checkPython(), checkFuse()],
      ...[checkCgroups(), checkGpus()],
    ]),
    Promise.all([checkDisk(dataDir), checkServer()]),
  ]);
  return [checkNode(), ...parts, ...CLOUDS.map(checkCloud), ...platform];
}

function checkNode(): Finding {
  const name = "node";
  const major = Number(process.versions.node.split(".")[0]);
  if (major >= NODE_MAJOR_MIN) return { name, state: "good", detail: process.version };
  return {
    name,
    state: "bad",
    detail: `${process.version}; ${NODE_MAJOR_MIN} or newer is needed`,
    mend: "start it through npm (npm run flotilla -- …), or install Node 24: https://nodejs.org",
  };
}

async function checkRedis(): Promise<Finding> {
  const name = "redis-server";
  const output = await outputOf("redis-server", ["--version"]);
  const mend = "apt-get install -y redis-server, or name a running one: FLOTILLA_REDIS_URL";
  if (output === undefined) return { name, state: "bad", detail: "not found", mend };
  const version = /v=(\d+)\.(\d+)\S*/.exec(output);
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  const [majorMin, minorMin] = REDIS_VERSION_MIN;
  const recent = major > majorMin || (major === majorMin && minor >= minorMin);
  const detail = version?.[0].slice("v=".length) ?? "version unknown";
  if (recent) return { name, state: "good", detail };
  return { name, state: "bad", detail: `${detail}; 6.2 or newer is needed`, mend };
}

/** The version says little: a sandbox that runs `true` says that gVisor works here. */
async function checkRunsc(): Promise<Finding> {
  const name = "runsc (gVisor)";
  const output = await outputOf("runsc", ["--version"]);
  if (output === undefined) {
    const mend =
      "apt-get install -y runsc, or https://gvisor.dev/docs/user_guide/install/; " +
      "without it: flotilla up --unisolated";
    return { name, state: "bad", detail: "not found", mend };
  }
  const version = /version (\S+)/.exec(output)?.[1] ?? "version unknown";
  try {
    const flags = ["--network=none", "--ignore-cgroups", "--platform=ptrace"];
    await run("runsc", [...flags, "do", "/bin/true"], { timeout: COMMAND_MS_MAX });
    return { name, state: "good", detail: `${version}, starts a sandbox` };
  } catch (error) {
    const mend = "run as root with ptrace allowed, or go without: flotilla up --unisolated";
    const [reason = ""] = messageOf(error).split("\n").slice(-2);
    return { name, state: "bad", detail: `${version}, cannot start a sandbox: ${reason}`, mend };
  }
}

async function checkPython(): Promise<Finding> {
  const name = "python3";
  const output = await outputOf("python3", ["--version"]);
  if (output !== undefined) {
    return { name, state: "good", detail: output.trim().replace("Python ", "") };
  }
  const mend = "apt-get install -y python3";
  return { name, state: "absent", detail: "not found; functions in Python need it", mend };
}

async function checkFuse(): Promise<Finding> {
  const name = "/dev/fuse";
  if (await isAccessible("/dev/fuse")) return { name, state: "good", detail: "usable" };
  return {
    name,
    state: "absent",
    detail: "not usable; nothing needs it yet (lazily loaded images will)",
    mend: "modprobe fuse; in a container, pass the device in",
  };
}

async function checkCgroups(): Promise<Finding> {
  const name = "cgroups";
  const version = existsSync("/sys/fs/cgroup/cgroup.controllers") ? "v2" : "v1";
  const root = version === "v2" ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
  if (await isAccessible(root)) return { name, state: "good", detail: `${version}, writable` };
  return {
    name,
    state: "absent",
    detail: "not writable: cpu, memory and process limits of containers are not enforced",
    mend: "run as root on a host with cgroups mounted",
  };
}

async function checkGpus(): Promise<Finding> {
  const query = ["--query-gpu=name,memory.total", "--format=csv,noheader"];
  const output = await outputOf("nvidia-smi", query);
  const gpus = (output ?? "").split("\n").filter((line) => line.trim() !== "");
  return gpuFindingOf(gpus, await examineGpus());
}

interface CloudCredentials {
  readonly cloud: string;
  /** Any one of these variables, or any one of these files in the home folder. */
  readonly variables: readonly string[];
  readonly files: readonly string[];
  readonly mend: string;
}

const CLOUDS: readonly CloudCredentials[] = [
  {
    cloud: "AWS",
    variables: ["AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"],
    files: [".aws/credentials", ".aws/config"],
    mend: "aws configure, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
  },
  {
    cloud: "Google Cloud",
    variables: ["GOOGLE_APPLICATION_CREDENTIALS"],
    files: [".config/gcloud/application_default_credentials.json"],
    mend:
      "gcloud auth application-default login; to rent there: FLOTILLA_GCP_REGIONS and " +
      "FLOTILLA_GCP_PROJECT",
  },
  {
    cloud: "Azure",
    variables: ["AZURE_CLIENT_ID", "AZURE_FEDERATED_TOKEN_FILE"],
    files: [".azure/azureProfile.json"],
    mend: "az login, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
  },
];

function checkCloud({ cloud, variables, files, mend }: CloudCredentials): Finding {
  const name = `${cloud} credentials`;
  const found =
    variables.find((variable) => (process.env[variable] ?? "") !== "") ??
    files.map((file) => join(homedir(), file)).find((path) => existsSync(path));
  if (found !== undefined) return { name, state: "good", detail: `present (${found})` };
  return { name, state: "absent", detail: "none found", mend };
}

async function checkDisk(dataDir: string): Promise<Finding> {
  const name = "disk";
  const folder = nearestExisting(dataDir);
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  const detail = `${(freeBytes / 1024 ** 3).toFixed(1)} GiB free at ${folder}`;
  if (freeBytes >= DISK_BYTES_MIN) return { name, state: "good", detail };
  return {
    name,
    state: "bad",
    detail,
    mend: "free 1 GiB or more, or choose another --data folder",
  };
}

async function checkServer(): Promise<Finding> {
  const name = "platform";
  const { serverUrl } = readClientSettings();
  const mend = "flotilla up --detach";
  if (serverUrl === undefined) return { name, state: "absent", detail: "none started yet", mend };
  const answer = await fetch(`${serverUrl}/health`, {
    signal: AbortSignal.timeout(COMMAND_MS_MAX),
  }).catch((error: unknown) => messageOf(error));
  if (typeof answer === "string" || !answer.ok) {
    const reason = typeof answer === "string" ? answer : `status ${answer.status}`;
    const detail = `no answer at ${serverUrl} (${reason})`;
    return { name, state: "absent", detail, mend };
  }
  return { name, state: "good", detail: `answers at ${serverUrl}` };
}

/** What a program prints; absent when it is missing or fails, which is a finding, not an error. */
async function outputOf(
  program: string,
  programArguments: readonly string[],
): Promise<string | undefined> {
  try {
    const { stdout } = await run(program, [...programArguments], { timeout: COMMAND_MS_MAX });
    return stdout;
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

async function isAccessible(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK | constants.W_OK);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
