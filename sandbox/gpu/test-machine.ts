/**
 * A machine with NVIDIA cards that is pretended in a folder, and a runsc that writes down how it
 * is called: for tests of the exact commands and specifications, where there is no GPU.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openGpus, type GpuAccessOptions, type OpenedGpus } from "./gpu-access.ts";

export const DRIVER = "550.54.15";
/** In no order, and the minor numbers in another than the places on the bus. */
const CARDS = [
  { busId: "0000:8a:00.0", minor: 0 },
  { busId: "0000:07:00.0", minor: 3 },
  { busId: "0000:0f:00.0", minor: 1 },
] as const;

const NVPROXY_FLAGS = `  -network value
\tspecifies which network to use
  -nvproxy
\tLEGACY: enable support for Nvidia GPUs.
  -nvproxy-allowed-driver-capabilities string
\tComma separated list of NVIDIA driver capabilities (default "utility,compute")`;
const CHECKPOINT_HELP = `checkpoint [flags] <container id> - save current state of container.
  -compression value
  -cuda-checkpoint-path string
\tpath to the cuda-checkpoint binary in the container`;

export interface TestMachineTraits {
  /** What `runsc flags` and `runsc checkpoint -help` say. */
  readonly flags?: string;
  readonly checkpointHelp?: string;
  readonly drivers?: readonly string[];
  readonly hasCudaCheckpoint?: boolean;
  readonly model?: string;
  /** Version of the libraries on the disk. */
  readonly libraryVersion?: string;
}

export class TestMachine {
  readonly root: string;
  readonly runsc: string;
  readonly #traits: TestMachineTraits;

  private constructor(root: string, traits: TestMachineTraits) {
    this.root = root;
    this.runsc = join(root, "bin/runsc");
    this.#traits = traits;
  }

  static async make(traits: TestMachineTraits = {}): Promise<TestMachine> {
    const machine = new TestMachine(await mkdtemp(join(tmpdir(), "flotilla-gpus-")), traits);
    await machine.#driver();
    await machine.#programs();
    return machine;
  }

  options(changes: Partial<GpuAccessOptions> = {}): GpuAccessOptions {
    const { root, runsc } = this;
    return {
      ...{ gpuType: "H100", gpuCount: 3, dir: join(root, "files"), root, runsc },
      ...{ path: join(root, "bin"), ldconfig: join(root, "bin/ldconfig"), ...changes },
    };
  }

  async open(changes: Partial<GpuAccessOptions> = {}): Promise<OpenedGpus> {
    return openGpus(this.options(changes));
  }

  /** How runsc was called so far, but for what it was asked about itself. */
  async calls(): Promise<readonly string[]> {
    const log = await readFile(join(this.root, "calls"), "utf8").catch(() => "");
    return log.split("\n").filter((line) => line !== "");
  }

  /** What runsc does from now on when its command is this one; `sh`. */
  async onCommand(command: string, script: string): Promise<void> {
    await writeFile(join(this.root, `on-${command}`), script);
  }

  async close(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }

  async #driver(): Promise<void> {
    const { model = "NVIDIA H100 80GB HBM3", libraryVersion = DRIVER } = this.#traits;
    for (const { busId, minor } of CARDS) {
      const information = `Model: \t\t ${model}\nIRQ:   \t\t 54\nBus Location: \t ${busId}\nDevice Minor: \t ${minor}\n`;
      await this.put(`proc/driver/nvidia/gpus/${busId}/information`, information);
      await this.put(`dev/nvidia${minor}`, "");
    }
    for (const name of ["nvidiactl", "nvidia-uvm", "nvidia-modeset"])
      await this.put(`dev/${name}`, "");
    const version = `NVRM version: NVIDIA UNIX x86_64 Kernel Module  ${DRIVER}  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0\n`;
    await this.put("proc/driver/nvidia/version", version);
    const devices =
      "Character devices:\n  1 mem\n195 nvidia-frontend\n510 nvidia-uvm\n\nBlock devices:\n  7 loop\n";
    await this.put("proc/devices", devices);
    for (const name of ["libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler", "libGL"]) {
      await this.put(`lib/${name}.so.${libraryVersion}`, name);
      await symlink(`${name}.so.${libraryVersion}`, join(this.root, `lib/${name}.so.1`));
    }
  }

  async #programs(): Promise<void> {
    const { root } = this;
    const { flags = NVPROXY_FLAGS, checkpointHelp = CHECKPOINT_HELP } = this.#traits;
    const { drivers = ["535.129.03", DRIVER], hasCudaCheckpoint = true } = this.#traits;
    const libraries = ["libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler", "libGL"]
      .map((name) => `\t${name}.so.1 (libc6,x86-64) => ${root}/lib/${name}.so.1`)
      .join("\n");
    await this.put("texts/ldconfig", `4 libs found in cache\n${libraries}\n`);
    await this.put("texts/flags", flags);
    await this.put("texts/checkpoint", checkpointHelp);
    await this.put("texts/drivers", drivers.join("\n"));
    await this.program("ldconfig", `cat ${root}/texts/ldconfig`);
    await this.program("nvidia-smi", "exit 0");
    if (hasCudaCheckpoint) await this.program("cuda-checkpoint", "exit 0");
    await this.program(
      "runsc",
      `case "$*" in
  flags) cat ${root}/texts/flags >&2; exit 0;;
  "checkpoint -help") cat ${root}/texts/checkpoint >&2; exit 128;;
  "nvproxy list-supported-drivers") cat ${root}/texts/drivers; exit 0;;
  --version) echo runsc version 1; exit 0;;
esac
echo "$*" >> ${root}/calls
for word in "$@"; do
  case "$word" in --*) ;; *) command=$word; break;; esac
done
for word in "$@"; do
  case "$word" in --bundle=*) cp "\${word#--bundle=}/config.json" ${root}/config.json;; esac
done
if [ -f "${root}/on-$command" ]; then . "${root}/on-$command"; fi`,
    );
  }

  async put(path: string, content: string): Promise<void> {
    const file = join(this.root, path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, content);
  }

  async program(name: string, script: string): Promise<void> {
    await this.put(`bin/${name}`, `#!/bin/sh\n${script}\n`);
    await chmod(join(this.root, "bin", name), 0o755);
  }
}
