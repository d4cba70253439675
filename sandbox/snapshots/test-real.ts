/** Memory snapshots of the real runner under the real gVisor, for tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeArchive } from "../../sdk/protocol/index.ts";
import { withEgress, type EgressOptions } from "../egress/with-egress.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { preparePythonImage } from "../images/python-image.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { TestRunner } from "../runners/node/test-runner.ts";
import { removeCgroup } from "../runtime/cgroups.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import type { ImageTraits, MemoryImages, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { randomBytes } from "node:crypto";

const CGROUP_PARENT = `/flotilla/test-snapshots-${process.pid}`;

/** A function of Python: `main` in `model.py`. */
export interface PythonCode {
  readonly source: string;
  /** What it is loaded with. */
  readonly env?: Readonly<Record<string, string>>;
  readonly maxInputs?: number;
  readonly workers?: "threads" | "processes";
}

/** A folder with a runtime in it. */
export class RealBench {
  readonly dir: string;
  readonly runtime: Runtime;
  readonly images: Extract<MemoryImages, { kind: "supported" }>;
  readonly traits: ImageTraits;
  #count = 0;

  private constructor(dir: string, runtime: Runtime, traits: ImageTraits) {
    this.dir = dir;
    this.runtime = runtime;
    if (runtime.images.kind !== "supported") throw new Error("gVisor has images");
    this.images = runtime.images;
    this.traits = traits;
  }

  static async open(runsc = "runsc", egress?: Omit<EgressOptions, "dir">): Promise<RealBench> {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-real-"));
    const rootfs = await prepareBaseImage(join(dir, "images"));
    const runnerDir = await bundleRunner(join(dir, "runners"));
    const pythonRootfs = (): Promise<string> => preparePythonImage(join(dir, "images"));
    const options = { dir, rootfs, pythonRootfs, runnerDir, cgroupParent: CGROUP_PARENT, runsc };
    const gvisor = createGvisorRuntime(options);
    // A socket's path may have 107 bytes.
    const runtime = egress ? withEgress(gvisor, { ...egress, dir: join(dir, "e") }) : gvisor;
    if (runtime.images.kind !== "supported") throw new Error("gVisor has images");
    return new RealBench(dir, runtime, await runtime.images.probe());
  }

  spec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
    this.#count += 1;
    const env = { PATH: "/usr/bin:/bin", HOME: "/tmp", TMPDIR: "/tmp" };
    const containerId = `co_${process.pid}_${this.#count}`;
    const resources = { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 256 };
    return { containerId, resources, env, ...changes };
  }

  /** A runner that has loaded `code`, with its function `main`, and has not entered. */
  async load(
    code: string | PythonCode,
    changes: Partial<SandboxSpec> = {},
  ): Promise<{ readonly runner: TestRunner; readonly spec: SandboxSpec }> {
    const isPython = typeof code !== "string";
    const spec = this.spec({ ...(isPython ? { runner: "python" as const } : {}), ...changes });
    const runner = new TestRunner(await this.runtime.start(spec));
    const names = { functionName: "main", appName: "app" };
    if (isPython) {
      const { source, env = {}, maxInputs = 1, workers = "threads" } = code;
      const python = { module: "model", handler: "main", workers };
      const archive = encodeArchive([{ path: "model.py", data: Buffer.from(source) }]);
      runner.say({ type: "load", ...names, env, maxInputs, python }, [archive]);
    } else runner.say({ type: "load", ...names }, [Buffer.from(HOOK + code)]);
    const said = await runner.hear(({ type }) => type === "loaded" || type === "load_failed");
    if (said.type !== "loaded" || said.obstacle !== undefined) {
      await runner.end();
      throw new Error(JSON.stringify(said));
    }
    return { runner, spec };
  }

  /** The folder with an image of such a runner. */
  async imageOf(code: string | PythonCode, changes: Partial<SandboxSpec> = {}): Promise<string> {
    const { runner, spec } = await this.load(code, changes);
    const imageDir = join(this.dir, `image-${spec.containerId}`);
    await this.images.save(spec, imageDir);
    await runner.exited;
    return imageDir;
  }

  /** A runner restored from an image, entered and ready. */
  async restore(
    imageDir: string,
    env: Readonly<Record<string, string>> = {},
    changes: Partial<SandboxSpec> = {},
  ): Promise<TestRunner> {
    const runner = new TestRunner(await this.images.restore(this.spec(changes), imageDir));
    const enter = { type: "enter", env, isDeaf: this.traits.restoredAreDeaf } as const;
    runner.say(enter, [randomBytes(64)]);
    await runner.hear(({ type }) => type === "ready");
    return runner;
  }

  async close(): Promise<void> {
    await removeCgroup(CGROUP_PARENT);
    // What runsc leaves may go while this looks.
    await rm(this.dir, { recursive: true, maxRetries: 10 });
  }
}
