/** The yardstick of a container's start: gVisor itself, with the platform's image and limits. */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { prepareBaseImage } from "../../sandbox/images/base-image.ts";
import { GVISOR_FLAGS } from "../../sandbox/runtime/gvisor.ts";
import { ociSpecOf } from "../../sandbox/runtime/oci-spec.ts";

const RESOURCES = { gpuCount: 0, cpuMilli: 100, memoryMiB: 128 };

/** Runs containers of one bundle, one after the other. */
export class BareSandbox {
  readonly #dir: string;
  readonly #bundle: string;
  #runs = 0;

  private constructor(dir: string, bundle: string) {
    this.#dir = dir;
    this.#bundle = bundle;
  }

  /** Prepares the bundle in `dir`: the platform's base image, and Node running `script`. */
  static async open(dir: string, script: string): Promise<BareSandbox> {
    const bundle = join(dir, "bare-bundle");
    const runnerDir = join(dir, "bare-runner");
    for (const folder of [bundle, runnerDir]) mkdirSync(folder, { recursive: true });
    const rootfs = await prepareBaseImage(join(dir, "images"));
    const env = { PATH: "/bin", HOME: "/tmp" };
    const spec = { containerId: "bare", resources: RESOURCES, env };
    const paths = { rootfs, runnerDir, cgroupsPath: "/flotilla-bare" };
    const config = ociSpecOf(spec, paths, ["/bin/node", "-e", script]);
    writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
    return new BareSandbox(dir, bundle);
  }

  /** Milliseconds from the start of `runsc run` to its end. @throws Error when it fails */
  async run(): Promise<number> {
    this.#runs += 1;
    const args = [`--root=${join(this.#dir, "bare-runsc")}`, ...GVISOR_FLAGS];
    const beganAtMs = performance.now();
    const child = spawn(
      "runsc",
      [...args, "run", `--bundle=${this.#bundle}`, `bare-${this.#runs}`],
      { stdio: ["ignore", "ignore", "pipe"] },
    );
    let said = "";
    child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code !== 0) throw new Error(`runsc run ended with ${code ?? "a signal"}: ${said}`);
    return performance.now() - beganAtMs;
  }
}
