/** The yardstick of a start: `runsc run` of Node with the platform's image, to its first word. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareBaseImage } from "../../sandbox/images/base-image.ts";
import { RUNNER_FILE } from "../../sandbox/runners/bundle-runner.ts";
import { createGvisorRuntime } from "../../sandbox/runtime/gvisor.ts";
import type { Runtime } from "../../sandbox/runtime/runtime.ts";

const RESOURCES = { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 };
/** Says one word over its standard input, and stays until that ends. */
const PROGRAM =
  'import { writeSync } from "node:fs"; writeSync(0, "x"); process.stdin.on("end", () => process.exit(0)).resume();';

export class BareRun {
  readonly #dir: string;
  readonly #runtime: Runtime;
  #runs = 0;

  private constructor(dir: string, runtime: Runtime) {
    this.#dir = dir;
    this.#runtime = runtime;
  }

  static async open(): Promise<BareRun> {
    const dir = mkdtempSync(join(tmpdir(), "flotilla-bare-"));
    const rootfs = await prepareBaseImage(join(dir, "images"));
    const runnerDir = join(dir, "runner");
    mkdirSync(runnerDir);
    writeFileSync(join(runnerDir, RUNNER_FILE), PROGRAM);
    const cgroupParent = `/flotilla/bare-${process.pid}`;
    return new BareRun(dir, createGvisorRuntime({ dir, rootfs, runnerDir, cgroupParent }));
  }

  /** Milliseconds from `runsc run` until its process says its first word; it is gone then. */
  async run(): Promise<number> {
    this.#runs += 1;
    const env = { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp" };
    const spec = { containerId: `bare_${this.#runs}`, resources: RESOURCES, env };
    const beganAtMs = performance.now();
    const sandbox = await this.#runtime.start(spec);
    sandbox.channel.on("error", () => undefined);
    await once(sandbox.channel, "data");
    const durationMs = performance.now() - beganAtMs;
    sandbox.kill();
    await sandbox.exited;
    return durationMs;
  }

  close(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
