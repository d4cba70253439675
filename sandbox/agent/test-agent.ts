/** A node agent before a fake server, for tests; the variables are those of the test that runs. */
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import type { Resources } from "../../core/index.ts";
import { FakeClock, until } from "../fake/clock.ts";
import { FakeRuntime, type FakeSandbox } from "../fake/runtime.ts";
import { FakeServer, type FakeLink } from "../fake/server.ts";
import { NO_IMAGES } from "../images/node-images.ts";
import type { ToRunner } from "../runners/protocol.ts";
import { NodeAgent, type NodeAgentOptions } from "./agent.ts";
import { START } from "./test-container.ts";

export const CODE = Buffer.from("code");
export const SHA256 = createHash("sha256").update(CODE).digest("hex");
export const RESOURCES = { gpuCount: 2, cpuMilli: 4_000, memoryMiB: 8_192 };

export let dir: string;
export let server: FakeServer;
export let runtime: FakeRuntime;
export let clock: FakeClock;
export let agent: NodeAgent;
export let running: Promise<void>;
export let dismissals: string[];
export let errors: string[];

/** Opens a server and an agent's folder for each test of a file, and closes them. */
export function useTestAgent(): void {
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "flotilla-agent-"));
    await writeFile(join(dir, SHA256), CODE);
    server = await FakeServer.open();
    runtime = new FakeRuntime();
    clock = new FakeClock();
    dismissals = [];
    errors = [];
  });

  afterEach(async () => {
    await agent.close();
    await running;
    server.close();
    await rm(dir, { recursive: true });
  });
}

export const run = (changes: Partial<NodeAgentOptions> = {}): void => {
  agent = new NodeAgent({
    serverUrl: server.url,
    token: "join",
    seed: "no_1",
    codeDir: dir,
    resources: RESOURCES,
    emulatedGpus: false,
    isolation: "gvisor",
    images: NO_IMAGES,
    runtime,
    clock,
    onError: (_, doing) => errors.push(doing),
    onDismissed: (reason) => dismissals.push(reason),
    ...changes,
  });
  running = agent.run();
};

/** The `position`-th link, welcomed. */
export const welcome = async (position = 0): Promise<FakeLink> => {
  const link = await server.link(position);
  link.say({ type: "welcome", nodeId: "no_1", sessionToken: `session-${position}` });
  await link.hear("hello");
  return link;
};

export const startOn = (
  link: FakeLink,
  containerId: string,
  resources: Partial<Resources> = {},
  cards?: readonly number[],
): void => {
  const container = { ...START, containerId, codeSha256: SHA256, ...(cards && { cards }) };
  const wanted = { gpuCount: 0, cpuMilli: 100, memoryMiB: 128, ...resources };
  link.say({ type: "start", container: { ...container, resources: wanted } });
};

/** Starts a container, makes it ready and hands it inputs of no bytes. */
export const serve = async (
  link: FakeLink,
  ...inputIds: readonly string[]
): Promise<FakeSandbox> => {
  const before = runtime.started.length;
  const containerId = `co_${before + 1}`;
  startOn(link, containerId);
  await until(() => runtime.started.length > before, "the sandbox starts");
  const sandbox = runtime.last;
  await toldOf(sandbox, "boot");
  sandbox.say({ type: "ready" });
  await link.hear("ready", before + 1);
  const inputs = inputIds.map((inputId) => ({ inputId, bytes: 0 }));
  link.say({ type: "inputs", containerId, inputs });
  await toldOf(sandbox, "inputs");
  return sandbox;
};

/** Resolves when the runner has been told a message of this type. */
export const toldOf = async (sandbox: FakeSandbox, type: ToRunner["type"]): Promise<void> =>
  until(
    () => sandbox.told.some(({ header }) => header.type === type),
    `the runner is told ${type}`,
  );

export const answer = (sandbox: FakeSandbox, inputId: string, payload: Uint8Array): void => {
  const result = { inputId, outcome: "succeeded", bytes: payload.byteLength, runMs: 1 } as const;
  sandbox.say({ type: "results", results: [result] }, [payload]);
};
