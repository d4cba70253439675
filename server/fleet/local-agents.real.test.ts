/** Real node agents, of no server that answers: how they are started, found and ended. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "../system-clock.ts";
import { endLeftoverAgents } from "./agent-process.ts";
import { LocalAgents, localUserDataOf, type AgentSettings } from "./local-agents.ts";

const userData = localUserDataOf({
  serverUrl: "http://127.0.0.1:9",
  token: "none",
  nodeId: "no_1",
  isolation: "process",
});

const polling = { timeout: 30_000, interval: 100 };
let dir: string;
let agentsDir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-agents-"));
  agentsDir = join(dir, "local");
});
afterEach(async () => {
  await endLeftoverAgents(agentsDir, systemClock);
  rmSync(dir, { recursive: true, force: true });
});

const open = () => new LocalAgents({ agentsDir, cacheDir: join(dir, "cache"), clock: systemClock });

it("starts an agent, finds it by its machine, and ends it with all that it kept", async () => {
  const agents = open();
  expect(await agents.find("local-1")).toBeUndefined();
  const pid = await agents.launch({ machineId: "local-1", userData });
  expect(await agents.find("local-1")).toBe(pid);
  expect(await agents.find("local-11")).toBeUndefined();
  await agents.end("local-1");
  expect(await agents.find("local-1")).toBeUndefined();
  expect(existsSync(join(agentsDir, "local-1"))).toBe(false);
  await agents.end("local-1");
});

it("finds and ends the agent of a platform that was killed", async () => {
  const pid = await open().launch({ machineId: "local-1", userData });
  const next = open();
  expect(await next.find("local-1")).toBe(pid);
  await next.end("local-1");
  expect(await next.find("local-1")).toBeUndefined();
  expect(existsSync(join(agentsDir, "local-1"))).toBe(false);
});

it("starts agents in sessions of their own, so that what ends this one's leaves them", async () => {
  const pid = await open().launch({ machineId: "local-1", userData });
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  expect([group, session]).toEqual([String(pid), String(pid)]);
});

it("lets an agent that it did not start stop by itself, and ends one that does not", async () => {
  const pid = await open().launch({ machineId: "local-1", userData });
  const next = open();
  // It listens to signals once it looks for its server.
  await expect.poll(() => next.logTail("local-1"), polling).toMatch(/connecting to/);
  await next.end("local-1");
  expect(existsSync(`/proc/${pid}`)).toBe(false);

  const stopped = await open().launch({ machineId: "local-2", userData });
  process.kill(stopped, "SIGSTOP");
  await next.end("local-2");
  expect(existsSync(`/proc/${stopped}`)).toBe(false);
});

it("starts agents that end by themselves when no server has been there for too long", async () => {
  const settings = { ...(JSON.parse(userData) as AgentSettings), aloneMsMax: 500 };
  const agents = open();
  await agents.launch({ machineId: "local-1", userData: localUserDataOf(settings) });
  await expect.poll(() => agents.find("local-1"), polling).toBeUndefined();
  expect(agents.logTail("local-1")).toContain("ending: no server was there for 0.5 s");
});

it("ends all that are left under a folder, and counts them", async () => {
  const agents = open();
  await agents.launch({ machineId: "local-1", userData });
  await agents.launch({ machineId: "local-2", userData });
  expect(await endLeftoverAgents(agentsDir, systemClock)).toBe(2);
  expect(await endLeftoverAgents(agentsDir, systemClock)).toBe(0);
  expect(await agents.find("local-1")).toBeUndefined();
});

it("takes nobody for the agent who only has its settings open", async () => {
  const settings = join(agentsDir, "local-1", "agent.json");
  const reader = spawn("sh", ["-c", "sleep 1000", settings], { stdio: "ignore", detached: true });
  await once(reader, "spawn");
  const agents = open();
  expect(await agents.find("local-1")).toBeUndefined();
  await agents.end("local-1");
  expect(reader.exitCode ?? reader.signalCode).toBeNull();
  reader.kill("SIGKILL");
  await once(reader, "exit");
});

it("says what is wrong with user data that is no agent's, and starts nothing", async () => {
  for (const wrong of ["", "#cloud-config\n", "{}", "null"]) {
    await expect(open().launch({ machineId: "local-1", userData: wrong })).rejects.toMatchObject({
      name: "PlatformError",
      code: "invalid_request",
    });
  }
  expect(existsSync(agentsDir)).toBe(false);
});
