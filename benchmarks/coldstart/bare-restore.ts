/** The yardstick of a restored start: gVisor alone, restoring the image that the platform made. */
import { randomBytes } from "node:crypto";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { prepareBaseImage } from "../../sandbox/images/base-image.ts";
import { bundleRunner } from "../../sandbox/runners/bundle-runner.ts";
import { createGvisorRuntime } from "../../sandbox/runtime/gvisor.ts";
import type { MemoryImages } from "../../sandbox/runtime/runtime.ts";
import { shakeHands } from "../../sandbox/snapshots/handshake.ts";
import { systemClock } from "../../sandbox/system-clock.ts";

const POLL_MS = 200;
const RESOURCES = { gpuCount: 0, cpuMilli: 125, memoryMiB: 421 };

/** The images of memory that a platform has made and put together. */
function snapshotsIn(dataDir: string): readonly string[] {
  return globSync(join(dataDir, "**", "ready", "*", "checkpoint.img"));
}

/** Waits until the platform has made so many snapshots. @throws Error when it does not */
export async function awaitSnapshots(
  dataDir: string,
  count: number,
  withinMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (snapshotsIn(dataDir).length < count) {
    if (performance.now() > deadlineMs) throw new Error(`the platform made fewer than ${count}`);
    await sleep(POLL_MS);
  }
}

export class BareRestore {
  readonly #dir: string;
  readonly #imageDir: string;
  readonly #images: Extract<MemoryImages, { kind: "supported" }>;
  #runs = 0;

  private constructor(dir: string, imageDir: string, images: MemoryImages) {
    if (images.kind !== "supported") throw new Error(images.reason);
    this.#dir = dir;
    this.#imageDir = imageDir;
    this.#images = images;
  }

  /** Takes one snapshot of the platform in `dataDir`. @throws Error when there is none */
  static async open(dataDir: string): Promise<BareRestore> {
    const dir = mkdtempSync(join(tmpdir(), "flotilla-bare-"));
    const rootfs = await prepareBaseImage(join(dir, "images"));
    const runnerDir = await bundleRunner(join(dir, "runners"));
    const { images } = createGvisorRuntime({
      dir,
      rootfs,
      runnerDir,
      cgroupParent: "/flotilla/bare",
    });
    const [file] = snapshotsIn(dataDir);
    if (file === undefined) throw new Error("the platform made no snapshot");
    return new BareRestore(dir, join(file, ".."), images);
  }

  /** Milliseconds from `runsc restore` until the process answers. */
  async run(): Promise<number> {
    this.#runs += 1;
    const { restoredAreDeaf: isDeaf } = await this.#images.probe();
    const env = { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp" };
    const spec = { containerId: `bare_${this.#runs}`, resources: RESOURCES, env };
    const beganAtMs = performance.now();
    const sandbox = await this.#images.restore(spec, this.#imageDir);
    await shakeHands(sandbox, {
      say: { type: "enter", env, isDeaf },
      bodies: [randomBytes(64)],
      isAnswer: ({ type }) => type === "entered",
      withinMs: 30_000,
      clock: systemClock,
    });
    const durationMs = performance.now() - beganAtMs;
    sandbox.kill();
    await sandbox.exited;
    return durationMs;
  }

  close(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
