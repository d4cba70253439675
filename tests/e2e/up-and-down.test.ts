import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import { runEnvironment, runFlotilla } from "../../scripts/platform/platform-process.ts";
import type { NodeSummary, PlanSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

const CLI = join(import.meta.dirname, "../../sdk/bin/flotilla.mjs");
const EMULATED = ["--emulated-clouds=aws", "--emulated-boot-ms", "100"];

describe("up and down", () => {
  let platform: TestPlatform;

  beforeEach(() => {
    platform = new TestPlatform();
  });

  afterEach(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const down = () => runFlotilla(platform.scratchDir, ["down", "--data", platform.dataDir]);

  it("is ready only when this machine is, which is a new node each time and leaves nothing", async () => {
    for (let round = 0; round < 2; round += 1) {
      await platform.start();
      const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
      expect(nodes).toEqual([expect.objectContaining({ cloud: "local", state: "healthy" })]);
      await platform.stop();
      expect(readdirSync(join(platform.dataDir, "agents"))).toEqual([]);
      expect(readdirSync(join(platform.dataDir, "local"))).toEqual([]);
    }
  });

  it("rents this machine anew when the agent of a killed platform has ended too", async () => {
    const agents = () =>
      processesOf(platform.dataDir).filter((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("sandbox/agent/main.ts"),
      );
    await platform.start();
    const [before = 0] = agents();
    process.kill(platform.running.pid, "SIGKILL");
    process.kill(before, "SIGKILL");
    await platform.start();
    expect(agents()).toHaveLength(1);
    expect(agents()).not.toContain(before);
    expect(readdirSync(join(platform.dataDir, "local"))).toHaveLength(1);
    const listed = JSON.parse(platform.cli("node", "list", "--json")) as {
      readonly nodes: readonly NodeSummary[];
    };
    expect(listed.nodes).toMatchObject([{ cloud: "local", state: "healthy", faults: [] }]);
  });

  it("ends what a killed platform left when it is told to go down", async () => {
    await platform.start(EMULATED);
    platform.cli("deploy", "examples/square.ts");
    expect(platform.cli("call", "square", "square", "3")).toContain("9");
    process.kill(platform.running.pid, "SIGKILL");
    expect(processesOf(platform.dataDir).length).toBeGreaterThan(2);
    expect(down().stdout).toContain("had left: 3");
    expect(processesOf(platform.dataDir)).toEqual([]);
    expect(down().stdout).toContain("Nothing runs");
  });

  it("rents nothing after a restart for what this machine can take", async () => {
    await platform.start(EMULATED);
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
    const slow = await platform.lookup<[number], number>("misbehave", "slowDouble");
    const calls = await Promise.all(Array.from({ length: 500 }, (_, index) => slow.spawn(index)));
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start(EMULATED);
    for (const [index, call] of calls.entries()) expect(await call.get()).toBe(2 * index);
    const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
    expect(nodes.map(({ cloud }) => cloud)).toEqual(["local"]);
  });

  it("forgets emulated machines with the platform they ran in", async () => {
    await platform.start(EMULATED);
    platform.cli("deploy", "examples/square.ts");
    expect(platform.cli("call", "square", "square", "3")).toContain("9");
    await platform.stop();
    await platform.start();
    const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
    expect(nodes.map(({ cloud }) => cloud)).toEqual(["local"]);
  });

  it("has no plan in force once nothing is wanted and nothing is there", async () => {
    await platform.start();
    platform.cli("deploy", "examples/square.ts");
    const square = await platform.lookup<[number], number>("square", "square");
    const call = await square.spawn(3);
    await expect
      .poll(async () => (await call.status()).pendingReason)
      .toMatch(/no cloud is set up.*--emulated-clouds/);
    expect((await platform.get<PlanSummary>("/v1/plan")).unmet).toHaveLength(1);
    await call.cancel();
    await expect.poll(() => platform.tryCli("plan", "--json").stdout).toBe('{"plan":null}\n');
  });

  it("says which address is taken", async () => {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const up = ["up", "--data", platform.dataDir, "--port", String(port)];
    const { status, stderr } = runFlotilla(platform.scratchDir, up);
    server.close();
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`error\\[conflict\\]: cannot listen on .*:${port}.*--port`));
  });

  it("says what is missing when gVisor is", () => {
    const up = ["up", "--data", platform.dataDir, "--port", "0"];
    const { status, stderr } = runFlotilla(platform.scratchDir, up, { PATH: "/nowhere" });
    expect(status).toBe(1);
    expect(stderr).toMatch(/error\[unavailable\]: cannot start runsc.*--unisolated/);
    expect(existsSync(join(platform.dataDir, "records.sqlite"))).toBe(false);
  });

  it("started twice at once is one platform, and both say where it is", async () => {
    const up = ["up", "--detach", "--json", "--data", platform.dataDir, "--port", "0"];
    const start = async (): Promise<{ url: string; pid: number; alreadyRunning: boolean }> => {
      const child = spawn(process.execPath, [CLI, ...up], {
        env: runEnvironment(platform.scratchDir),
        stdio: ["ignore", "pipe", "ignore"],
      });
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      expect(await once(child, "close")).toEqual([0, null]);
      return JSON.parse(out) as { url: string; pid: number; alreadyRunning: boolean };
    };
    const [one, other] = await Promise.all([start(), start()]);
    expect(one).toMatchObject({ url: other.url, pid: other.pid });
    expect([one, other].filter(({ alreadyRunning }) => alreadyRunning)).toHaveLength(1);
    expect(down().stdout).toContain("Flotilla stopped");
  });
});
