/** Builds a node agent from its settings: machine, image, runner, runtime. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../core/index.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import { createProcessRuntime } from "../runtime/process.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { NodeAgent, type NodeAgentOptions } from "./agent.ts";
import type { AgentConfig } from "./config.ts";
import { detectGpus, machineResources } from "./machine.ts";
import { cgroupParentOf, reap } from "./reap.ts";

export interface AgentSurroundings extends Pick<NodeAgentOptions, "onError" | "onDismissed"> {
  readonly clock: Clock;
  /** Where images and runners are kept; several agents of one machine may share it. */
  readonly cacheDir?: string;
}

/** A node agent, ready to `run`. What an earlier agent of the folder left is ended first. */
export async function createAgent(
  config: AgentConfig,
  surroundings: AgentSurroundings,
): Promise<NodeAgent> {
  const { dataDir } = config;
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  await reap(dataDir);
  const { onError, onDismissed, clock } = surroundings;
  const runtime = await createRuntime(config, surroundings.cacheDir ?? join(dataDir, "cache"));
  const detected = config.resources === undefined ? await detectGpus() : undefined;
  const gpuType = config.gpuType ?? detected?.gpuType;
  const machine = { ...machineResources(), gpuCount: detected?.gpuCount ?? 0 };
  return new NodeAgent({
    serverUrl: config.serverUrl,
    token: config.token,
    nodeId: config.nodeId,
    codeDir: join(dataDir, "code"),
    resources: config.resources ?? machine,
    emulatedGpus: config.emulatedGpus ?? false,
    isolation: config.isolation,
    runtime,
    clock,
    onError,
    onDismissed,
    ...(gpuType === undefined ? {} : { gpuType }),
  });
}

async function createRuntime(config: AgentConfig, cacheDir: string): Promise<Runtime> {
  const { dataDir, isolation } = config;
  const runnerDir = await bundleRunner(join(cacheDir, "runners"));
  if (isolation === "process") return createProcessRuntime({ dir: dataDir, runnerDir });
  const rootfs = await prepareBaseImage(join(cacheDir, "images"));
  const cgroupParent = cgroupParentOf(dataDir);
  return createGvisorRuntime({ dir: dataDir, rootfs, runnerDir, cgroupParent });
}
