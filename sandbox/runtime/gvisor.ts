/**
 * Containers under gVisor: one `runsc run` per container, attached.
 *
 * The container's state lies in `<dir>/runsc`; a folder per container holds its bundle. When
 * this process dies the containers see the end of their channel and end by themselves; what is
 * left is ended by `reap`.
 */
import { spawn } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PlatformError } from "../../core/index.ts";
import { RUNNER_FILE } from "../runners/bundle-runner.ts";
import { createChannelPair } from "./channel.ts";
import { ociSpecOf, runnerArguments } from "./oci-spec.ts";
import type { Runtime, SandboxExit } from "./runtime.ts";

export interface GvisorOptions {
  /** Folder of all that this runtime keeps. */
  readonly dir: string;
  /** Root file system of the containers. */
  readonly rootfs: string;
  readonly runnerDir: string;
  /** Parent of the containers' control groups. */
  readonly cgroupParent: string;
  /** The runsc program; from the PATH by default. */
  readonly runsc?: string;
}

/** Exit code of `runsc run` when its container was killed (128 + SIGKILL). */
const KILLED = 137;

/** Where runsc keeps the state of the containers of `dir`. */
export function runscRoot(dir: string): string {
  return join(dir, "runsc");
}

export function createGvisorRuntime(options: GvisorOptions): Runtime {
  const { dir, rootfs, runnerDir, cgroupParent, runsc = "runsc" } = options;
  const globalFlags = [`--root=${runscRoot(dir)}`, "--platform=ptrace", "--network=none"];

  return {
    isolation: "gvisor",
    async start(spec) {
      const bundle = join(dir, "bundles", spec.containerId);
      await mkdir(bundle, { recursive: true });
      const args = runnerArguments("/bin/node", `/runner/${RUNNER_FILE}`, spec.resources.memoryMiB);
      const cgroupsPath = `${cgroupParent}/${spec.containerId}`;
      const config = ociSpecOf(spec, { rootfs, runnerDir, cgroupsPath }, args);
      const [{ ours, theirs }] = await Promise.all([
        createChannelPair(),
        writeFile(join(bundle, "config.json"), JSON.stringify(config)),
      ]);
      const child = spawn(runsc, [...globalFlags, "run", `--bundle=${bundle}`, spec.containerId], {
        stdio: [theirs, "pipe", "pipe"],
        env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
      });
      theirs.destroy();
      let killed = false;
      const exited = new Promise<SandboxExit>((resolve) => {
        const end = (exit: SandboxExit): void => {
          ours.destroy();
          rm(bundle, { recursive: true, force: true }).then(
            () => resolve(exit),
            () => resolve(exit),
          );
        };
        child.once("error", () => {
          end({ exitCode: undefined, signal: undefined, outOfMemory: false });
        });
        child.once("close", (code, signal) => {
          const outOfMemory = code === KILLED && !killed;
          end({ exitCode: code ?? undefined, signal: signal ?? undefined, outOfMemory });
        });
      });
      await spawned(child, runsc);
      const kill = (): void => {
        killed = true;
        ours.destroy();
        const killer = spawn(runsc, [...globalFlags, "kill", spec.containerId, "KILL"], {
          stdio: "ignore",
        });
        // Too early for runsc to know the container, or too late: its own process still ends it.
        killer.once("close", (code) => {
          if (code !== 0 && child.exitCode === null) child.kill("SIGKILL");
        });
        killer.once("error", () => child.kill("SIGKILL"));
      };
      return { channel: ours, stdout: child.stdout, stderr: child.stderr, exited, kill };
    },
  };
}

async function spawned(child: ReturnType<typeof spawn>, program: string): Promise<void> {
  if (child.pid !== undefined) return;
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => {
      reject(
        new PlatformError(`cannot start ${program}: ${messageOf(error)}; see \`flotilla doctor\``, {
          code: "unavailable",
          retryable: false,
          cause: error,
        }),
      );
    });
  });
}
