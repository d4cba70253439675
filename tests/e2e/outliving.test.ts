/** The agent of this machine, and what runs on it, when the server is killed and started again. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountsUnder, processesOf } from "../../scripts/platform/sweep.ts";
import { ROOT } from "../../scripts/steps.ts";
import { Sandbox, SandboxEndedError } from "../../sdk/index.ts";
import type { NodeList } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const CLI = join(ROOT, "sdk", "bin", "flotilla.mjs");
const AGENT_MAIN = "sandbox/agent/main.ts";
const APP = `
import { App } from "flotilla";
const app = new App("lives");
let runs = 0;
export const count = app.function({ timeoutMs: 120_000 }, async (lineCount, pauseMs) => {
  runs += 1;
  for (let n = 1; n <= lineCount; n += 1) {
    console.log("line " + n);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { runs, lineCount };
});
`;

describe("an agent of this machine, when its server is killed", () => {
  let platform: TestPlatform;

  beforeEach(async () => {
    platform = new TestPlatform();
    await platform.start();
    platform.cli("deploy", platform.write("lives.mjs", APP));
  });

  afterEach(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const agentPids = (): readonly number[] =>
    processesOf(platform.scratchDir).filter((pid) => commandOf(pid).includes(AGENT_MAIN));

  const agentPid = (): number => {
    const [pid, ...others] = agentPids();
    if (pid === undefined || others.length > 0) throw new Error("there is not one agent");
    return pid;
  };

  const nodeIds = async (): Promise<readonly string[]> =>
    (await platform.get<NodeList>("/v1/nodes")).nodes.map(({ nodeId }) => nodeId);

  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

  /** Without a word; gives once it is gone. */
  async function killServer(): Promise<void> {
    const { pid } = platform.running;
    process.kill(pid, "SIGKILL");
    await expect.poll(() => existsSync(`/proc/${pid}`) && commandOf(pid) !== "").toBe(false);
  }

  const startCounting = async (lineCount: number, pauseMs: number) => {
    const count = await platform.lookup<[number, number], { readonly runs: number }>(
      "lives",
      "count",
    );
    return count.spawn(lineCount, pauseMs);
  };

  /** A follower of the app's lines in another process. */
  function follow() {
    const following = spawn(process.execPath, [CLI, "logs", "lives", "--follow"]);
    let [printed, said] = ["", ""];
    following.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    following.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    return {
      lines: () => printed.split("\n").filter((line) => line.startsWith("line ")),
      said: () => said,
      end: async () => {
        const ended = once(following, "exit");
        following.kill("SIGINT");
        await ended;
      },
    };
  }

  it("goes on with its call, whose result and lines come once, and with a sandbox", async () => {
    const before = { agent: agentPid(), nodes: await nodeIds() };
    const follower = follow();
    const sandbox = await Sandbox.create();
    const script = "for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 1; done; echo end";
    const program = await sandbox.exec(["sh", "-c", script], { workdir: "/tmp" });
    const output = program.output();
    await sandbox.files.write("/tmp/kept", "kept");
    const call = await startCounting(2_000, 5);
    await expect.poll(() => follower.lines().length).toBeGreaterThan(100);

    await killServer();
    await pause(2_000);
    await platform.start();

    expect(await call.get({ timeoutMs: 60_000 })).toEqual({ runs: 1, lineCount: 2_000 });
    const polling = { timeout: 30_000, interval: 100 };
    await expect.poll(() => follower.lines().length, polling).toBeGreaterThanOrEqual(2_000);
    const wanted = Array.from({ length: 2_000 }, (_, index) => `line ${index + 1}`);
    expect(follower.lines()).toEqual(wanted);
    expect(follower.said()).not.toContain("missing");
    await follower.end();

    expect(await output).toEqual({
      exitCode: 0,
      stdout: "1\n2\n3\n4\n5\n6\n7\n8\n9\nend\n",
      stderr: "",
    });
    const same = await Sandbox.fromId(sandbox.sandboxId);
    expect(await same.files.readText("/tmp/kept")).toBe("kept");
    expect({ agent: agentPid(), nodes: await nodeIds() }).toEqual(before);

    // And once more, with nothing going on; then it ends with its platform.
    await killServer();
    await platform.start();
    expect(await same.files.readText("/tmp/kept")).toBe("kept");
    expect(agentPid()).toBe(before.agent);
    await platform.stop();
    expect(processesOf(platform.scratchDir)).toEqual([]);
    await platform.start();
    await expect(same.files.readText("/tmp/kept")).rejects.toThrow(SandboxEndedError);
  });

  it("is replaced when it ended too, and a stranger with its number is left alone", async () => {
    const call = await startCounting(200, 20);
    await expect.poll(() => platform.cli("logs", "lives")).toContain("line 10");
    await killServer();
    const agent = agentPid();
    process.kill(agent, "SIGKILL");
    const stranger = spawn("sleep", ["1000"], { stdio: "ignore", detached: true });
    await once(stranger, "spawn");
    const book = join(platform.dataDir, "local-machines.json");
    const text = readFileSync(book, "utf8").replaceAll(`"pid":${agent}`, `"pid":${stranger.pid}`);
    expect(text).toContain(String(stranger.pid));
    writeFileSync(book, text);

    await platform.start();
    expect(await call.get({ timeoutMs: 60_000 })).toEqual({ runs: 1, lineCount: 200 });
    expect(agentPid()).not.toBe(agent);
    expect(stranger.exitCode ?? stranger.signalCode).toBeNull();
    stranger.kill("SIGKILL");
    await once(stranger, "exit");
  });

  it("is ended and replaced when it does not come back, though it is there", async () => {
    const call = await startCounting(200, 20);
    await expect.poll(() => platform.cli("logs", "lives")).toContain("line 10");
    await killServer();
    const agent = agentPid();
    process.kill(agent, "SIGSTOP");
    await platform.start();
    expect(await call.get({ timeoutMs: 60_000 })).toEqual({ runs: 1, lineCount: 200 });
    expect(agentPid()).not.toBe(agent);
    await expect.poll(() => commandOf(agent)).toBe("");
  });

  it("is replaced when the next server has other settings", async () => {
    const agent = agentPid();
    await killServer();
    await platform.start(["--local-gpus", "L4:2"]);
    expect(agentPid()).not.toBe(agent);
    const { nodes } = await platform.get<NodeList>("/v1/nodes");
    expect(nodes).toMatchObject([{ gpu: "L4" }]);
  });

  it("is ended by `down`, with all that it runs", async () => {
    const sandbox = await Sandbox.create();
    await sandbox.exec(["sleep", "1000"]);
    await killServer();
    expect(agentPids()).toHaveLength(1);
    expect(platform.cli("down", "--data", platform.dataDir)).toMatch(/a killed platform had left/);
    expect(processesOf(platform.scratchDir)).toEqual([]);
    expect(mountsUnder(platform.scratchDir)).toEqual([]);
    expect(readdirSync(join(platform.dataDir, "local"))).toEqual([]);
    await platform.start();
    await expect(sandbox.files.list("/tmp")).rejects.toThrow(SandboxEndedError);
  });
});

/** The command line of a process; empty when it has ended, also while nobody has heard of it. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It ended while we looked.
    return "";
  }
}
