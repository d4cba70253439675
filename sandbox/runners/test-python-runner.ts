/** The Python runner as a process of its own, with the agent's end of it in a test's hands. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { encodeArchive } from "../../sdk/protocol/index.ts";
import { createProcessRuntime } from "../runtime/process.ts";
import { bundleRunner } from "./bundle-runner.ts";
import { TestRunner } from "./node/test-runner.ts";
import type { FromRunner } from "./protocol.ts";

const SPEC = {
  runner: "python",
  resources: { gpuCount: 0, cpuMilli: 500, memoryMiB: 512 },
  env: { PATH: "/usr/bin:/bin" },
} as const;

interface Boot {
  readonly env?: Readonly<Record<string, string>>;
  readonly maxInputs?: number;
  readonly workers?: "threads" | "processes";
  /** More files of the archive, by their paths. */
  readonly files?: Readonly<Record<string, string>>;
}

export class TestPython {
  runner!: TestRunner;
  /** Where the container's own files are. */
  dir!: string;

  /** Boots `model.py` with this source, and waits until it is loaded or is not. */
  async boot(handler: string, source: string, boot: Boot = {}): Promise<FromRunner> {
    const files = { "model.py": source, ...boot.files };
    const archive = encodeArchive(
      Object.entries(files).map(([path, text]) => ({ path, data: Buffer.from(text) })),
    );
    const { env = {}, maxInputs = 1, workers = "threads" } = boot;
    const python = { module: "model", handler, workers };
    const names = { functionName: "f", appName: "app" };
    this.runner.say({ type: "boot", ...names, env, maxInputs, python }, [archive]);
    return this.runner.hear(({ type }) => type === "ready" || type === "load_failed");
  }
}

/** Starts a runner before each test of a file and ends it after. */
export function useTestPython(): TestPython {
  const current = new TestPython();
  let runnersDir: string | undefined;
  let runnerDir = "";
  let started = 0;
  beforeAll(async () => {
    runnersDir = await mkdtemp(join(tmpdir(), "flotilla-runners-"));
    runnerDir = await bundleRunner(runnersDir);
  });
  afterAll(async () => {
    // The folder that was made here and no other: where nothing was made nothing is removed.
    if (runnersDir !== undefined) await rm(runnersDir, { recursive: true });
  });
  beforeEach(async () => {
    current.dir = await mkdtemp(join(tmpdir(), "flotilla-python-"));
    started += 1;
    const runtime = createProcessRuntime({ dir: current.dir, runnerDir });
    const containerId = `co_${started}`;
    current.runner = new TestRunner(await runtime.start({ ...SPEC, containerId }));
  });
  afterEach(async () => {
    await current.runner.end();
    await rm(current.dir, { recursive: true });
  });
  return current;
}
