import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { prepareBaseImage } from "../images/base-image.ts";
import { foldersOf } from "../runtime/cgroups.ts";
import { writeGuest } from "../runtime/guest.ts";
import { processesNaming } from "../runtime/traces.ts";
import { cgroupParentOf, reap } from "./reap.ts";

const SPIN = `${JSON.stringify({ command: "spin" })}\n`;

let dir: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-reap-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await reap(dir);
  await rm(dir, { recursive: true });
});

/** Starts a container in a process that then dies as an agent does under `kill -9`. */
const abandon = async (runtime: "gvisor" | "process", options: object): Promise<void> => {
  const module = new URL(`../runtime/${runtime}.ts`, import.meta.url).href;
  const create = runtime === "gvisor" ? "createGvisorRuntime" : "createProcessRuntime";
  const program = `
    import { ${create} } from ${JSON.stringify(module)};
    const runtime = ${create}(${JSON.stringify(options)});
    const resources = { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 };
    const sandbox = await runtime.start({ containerId: "co_1", resources, env: { PATH: "/bin" } });
    sandbox.channel.once("data", () => {
      sandbox.channel.write(${JSON.stringify(SPIN)}, () => process.stdout.write("busy\\n"));
    });
  `;
  const agent = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(agent);
  const [line] = (await once(createInterface({ input: agent.stdout }), "line")) as [string];
  expect(line).toBe("busy");
  agent.kill("SIGKILL");
  await once(agent, "close");
};

/** Everything that a container of the folder has on this machine. */
const traces = (): readonly string[] => [
  ...processesNaming(dir),
  ...foldersOf(cgroupParentOf(dir)),
  ...["bundles", "runsc"].map((name) => join(dir, name)).filter((path) => existsSync(path)),
];

describe("what a killed agent left", () => {
  test("of a gVisor container that listens to nobody is ended and removed, caches stay", async () => {
    await mkdir(join(dir, "code"));
    await writeFile(join(dir, "code", "c0de"), "");
    await abandon("gvisor", {
      dir,
      rootfs: await prepareBaseImage(join(dir, "cache")),
      runnerDir: await writeGuest(join(dir, "runner")),
      cgroupParent: cgroupParentOf(dir),
    });
    await reap(dir);
    expect(traces()).toEqual([]);
    expect((await readdir(dir)).sort()).toEqual(["cache", "code", "runner"]);
  });

  test("of a process container that listens to nobody is ended and removed too", async () => {
    const elsewhere = await mkdtemp(join(tmpdir(), "flotilla-guest-"));
    await abandon("process", { dir, runnerDir: await writeGuest(elsewhere) });
    expect(traces()).not.toEqual([]);
    await reap(dir);
    expect(traces()).toEqual([]);
    await rm(elsewhere, { recursive: true });
  });
});

test("processes of a folder with a similar name are left alone", async () => {
  const bystander = spawn(
    process.execPath,
    ["-e", "process.stdout.write('up'); setInterval(() => {}, 1000)", `${dir}/bundles-of-mine`],
    { stdio: ["ignore", "pipe", "ignore"] },
  );
  children.push(bystander);
  await once(bystander.stdout, "data");
  await reap(dir);
  expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
});

test("a folder that was never used is reaped without a word", async () => {
  await reap(join(dir, "none"));
  expect(existsSync(join(dir, "none"))).toBe(false);
});

test("folders of different agents have control groups of their own", () => {
  expect(cgroupParentOf("/var/lib/flotilla")).toMatch(/^\/flotilla\/var-lib-flotilla-[0-9a-f]+$/);
  expect(cgroupParentOf("/var/lib/flotilla/")).toBe(cgroupParentOf("/var/lib/flotilla"));
  expect(cgroupParentOf("/a/b")).not.toBe(cgroupParentOf("/a-b"));
});
