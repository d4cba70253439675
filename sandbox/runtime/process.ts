/**
 * Containers as plain processes, for machines without gVisor.
 *
 * This is no isolation: the user's code runs as this user, on this file system and network.
 * It must be asked for and is named `process` wherever nodes and containers are listed.
 */
import { spawn } from "node:child_process";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { RUNNER_FILE } from "../runners/bundle-runner.ts";
import { createChannelPair } from "./channel.ts";
import { runnerArguments } from "./oci-spec.ts";
import { findPython, pythonArguments } from "./python-launch.ts";
import type { Runtime, SandboxExit, SandboxSpec } from "./runtime.ts";
import { cannotStart, spawned } from "./spawned.ts";

export interface ProcessOptions {
  readonly dir: string;
  readonly runnerDir: string;
}

export function createProcessRuntime({ dir, runnerDir }: ProcessOptions): Runtime {
  return {
    isolation: "process",
    images: { kind: "unsupported", reason: "plain processes have no image of their memory" },
    async start(spec) {
      const home = join(dir, "bundles", spec.containerId);
      const clear = (): Promise<void> => rm(home, { recursive: true, force: true });
      await mkdir(home, { recursive: true });
      const { ours, theirs } = await createChannelPair();
      const [program = process.execPath, ...args] = await commandOf(spec, runnerDir);
      const child = spawn(program, args, {
        stdio: [theirs, "pipe", "pipe"],
        cwd: home,
        env: { ...spec.env, TMPDIR: home },
        // A session of its own, so that all it starts can be ended with it.
        detached: true,
      });
      theirs.destroy();
      await spawned(child).catch((error: unknown) => {
        ours.destroy();
        return cannotStart(program, error, clear);
      });
      const killGroup = (): void => {
        try {
          if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
        } catch {
          // All of it has ended.
        }
      };
      let killed = false;
      const exited = new Promise<SandboxExit>((resolve) => {
        // What it started may hold its output open: nothing closes before that has ended too.
        child.once("exit", killGroup);
        child.once("close", (code, signal) => {
          ours.destroy();
          const outOfMemory = signal === "SIGKILL" && !killed;
          const exit = { exitCode: code ?? undefined, signal: signal ?? undefined, outOfMemory };
          const end = (): void => resolve(exit);
          clear().then(end, end);
        });
      });
      const kill = (): void => {
        killed = true;
        killGroup();
      };
      return { channel: ours, stdout: child.stdout, stderr: child.stderr, exited, kill };
    },
  };
}

async function commandOf(spec: SandboxSpec, runnerDir: string): Promise<readonly string[]> {
  if (spec.runner !== "python") {
    return runnerArguments(process.execPath, join(runnerDir, RUNNER_FILE), spec);
  }
  return pythonArguments((await findPython()) ?? "python3", runnerDir);
}
