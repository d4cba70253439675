/** Memory snapshots of the real runner under the real gVisor, for tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareBaseImage } from "../images/base-image.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { HOOK } from "../runners/node/sdk-hook.ts";
import { TestRunner } from "../runners/node/test-runner.ts";
import { removeCgroup } from "../runtime/cgroups.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import type { ImageTraits, MemoryImages, Runtime, SandboxSpec } from "../runtime/runtime.ts";
import { randomBytes } from "node:crypto";

const CGROUP_PARENT = `/flotilla/test-snapshots-${process.pid}`;

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

  static async open(runsc = "runsc"): Promise<RealBench> {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-real-"));
    const rootfs = await prepareBaseImage(join(dir, "images"));
    const runnerDir = await bundleRunner(join(dir, "runners"));
    const options = { dir, rootfs, runnerDir, cgroupParent: CGROUP_PARENT, runsc };
    const runtime = createGvisorRuntime(options);
    if (runtime.images.kind !== "supported") throw new Error("gVisor has images");
    return new RealBench(dir, runtime, await runtime.images.probe());
  }

  spec(memoryMiB = 256): SandboxSpec {
    this.#count += 1;
    const env = { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp" };
    const containerId = `co_${process.pid}_${this.#count}`;
    return { containerId, resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB }, env };
  }

  /** A runner that has loaded `source`, which exports `main`, and has not entered. */
  async load(source: string): Promise<{ readonly runner: TestRunner; readonly spec: SandboxSpec }> {
    const spec = this.spec();
    const runner = new TestRunner(await this.runtime.start(spec));
    runner.say({ type: "load", functionName: "main", appName: "app" }, [
      Buffer.from(HOOK + source),
    ]);
    const said = await runner.hear(({ type }) => type === "loaded" || type === "load_failed");
    if (said.type !== "loaded" || said.obstacle !== undefined) {
      await runner.end();
      throw new Error(JSON.stringify(said));
    }
    return { runner, spec };
  }

  /** The folder with an image of such a runner. */
  async imageOf(source: string): Promise<string> {
    const { runner, spec } = await this.load(source);
    const imageDir = join(this.dir, `image-${spec.containerId}`);
    await this.images.save(spec.containerId, imageDir);
    await runner.exited;
    return imageDir;
  }

  /** A runner restored from an image, entered and ready. */
  async restore(imageDir: string, env: Readonly<Record<string, string>> = {}): Promise<TestRunner> {
    const runner = new TestRunner(await this.images.restore(this.spec(), imageDir));
    const enter = { type: "enter", env, isDeaf: this.traits.restoredAreDeaf } as const;
    runner.say(enter, [randomBytes(64)]);
    await runner.hear(({ type }) => type === "ready");
    return runner;
  }

  async close(): Promise<void> {
    await removeCgroup(CGROUP_PARENT);
    await rm(this.dir, { recursive: true });
  }
}
