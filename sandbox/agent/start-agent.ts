/** Builds a node agent from its settings: machine, image, runner, runtime. */
import { mkdir, statfs } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { MS_PER_MINUTE, type Clock, type Resources } from "../../core/index.ts";
import { egressOptionsOf, withEgress } from "../egress/with-egress.ts";
import { prepareBaseImage } from "../images/base-image.ts";
import { createMountedImages, NO_IMAGES, type NodeImages } from "../images/node-images.ts";
import { preparePythonImage } from "../images/python-image.ts";
import { openGpus, type GpuAccess } from "../gpu/gpu-access.ts";
import { isMemoryShort } from "../pools/memory-pressure.ts";
import { PeerServer } from "../peers/peer-server.ts";
import { bundleRunner } from "../runners/bundle-runner.ts";
import { createGvisorRuntime } from "../runtime/gvisor.ts";
import { createProcessRuntime } from "../runtime/process.ts";
import { findPython } from "../runtime/python-launch.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { openDiskTier } from "../store/index.ts";
import { createNodeVolumes, volumesDirOf, type NodeVolumes } from "../volumes/node-volumes.ts";
import { NodeAgent, type NodeAgentOptions } from "./agent.ts";
import { openCloudMetadata, type CloudMetadata } from "./cloud-metadata.ts";
import type { AgentConfig, RentedConfig } from "./config.ts";
import { HealthWatch } from "./health/health-watch.ts";
import { readDisk, runCommand } from "./health/machine-access.ts";
import { InterruptionWatch } from "./interruption-watch.ts";
import { BATCH_HEADER, MACHINE_HEADER } from "./link.ts";
import { detectGpus, machineResources } from "./machine.ts";
import { cgroupParentOf, chunksDirOf, imagesDirOf, reap } from "./reap.ts";
import { readSession, writeSession } from "./session-file.ts";

export interface AgentSurroundings extends Pick<NodeAgentOptions, "onError" | "onDismissed"> {
  readonly clock: Clock;
  /** Where images and runners are kept; several agents of one machine may share it. */
  readonly cacheDir?: string;
}

/** An agent with what belongs to its machine. */
export interface StartedAgent {
  /** Serves until it is closed or dismissed. */
  run(): Promise<void>;
  /** Ends every container, then the link. */
  close(): Promise<void>;
}

/** Sandboxes that a node keeps ready at most, however few its cores are. */
const READY_MIN = 6;
/** A machine that no server has taken in for so long gives itself up: nobody may pay for it. */
const WELCOME_WITHIN_MS = 30 * MS_PER_MINUTE;
/** How long a machine may not know who it is, and how often it asks. */
const IDENTITY_MS_MAX = 2 * MS_PER_MINUTE;
const IDENTITY_RETRY_MS = 2_000;

/**
 * A node agent, ready to `run`. What an earlier agent of the folder left is ended first.
 *
 * @throws PlatformError `unavailable` when a rented machine cannot learn who it is.
 */
export async function createAgent(
  config: AgentConfig,
  surroundings: AgentSurroundings,
): Promise<StartedAgent> {
  const { dataDir, rented } = config;
  await mkdir(dataDir, { recursive: true, mode: 0o755 });
  await reap(dataDir);
  const { onError, onDismissed, clock } = surroundings;
  const cacheDir = surroundings.cacheDir ?? join(dataDir, "cache");
  const { gpuType, ...machine } = await machineOf(config);
  const gpus = await gpusOf(config, { ...machine, gpuType }, cacheDir);
  const { resources } = gpus;
  if (gpus.lack !== undefined) onError(new Error(gpus.lack), "giving GPUs to containers");
  const runtime = await createRuntime(config, cacheDir, clock, gpus.access);
  const metadata = rented && metadataOf(rented, clock);
  const images = await createImages(config, surroundings, () => agent.token);
  const peers = await openPeers(config, surroundings);
  const volumes = await createVolumes(config, surroundings, images, () => agent.token);
  const agent: NodeAgent = new NodeAgent({
    serverUrl: config.serverUrl,
    blobDir: config.blobDir,
    ...(config.aloneMsMax === undefined ? {} : { aloneMsMax: config.aloneMsMax }),
    ...(await credentialsOf(config, metadata, surroundings)),
    codeDir: join(dataDir, "code"),
    snapshotDir: join(dataDir, "snapshots"),
    // Plain processes start fast enough, and would be seen by whoever lists this machine's.
    readyCountMax: config.isolation === "gvisor" ? Math.max(READY_MIN, availableParallelism()) : 0,
    hasPython: (await findPython()) !== undefined,
    isMemoryShort,
    resources,
    emulatedGpus: config.emulatedGpus ?? false,
    isolation: config.isolation,
    runtime,
    images,
    ...(volumes === undefined ? {} : { volumes }),
    ...(peers === undefined ? {} : { peers }),
    clock,
    onError,
    onDismissed,
    ...(gpuType === undefined ? {} : { gpuType }),
  });
  const health = new HealthWatch({
    clock,
    run: runCommand,
    readDisk: () => readDisk(dataDir),
    gpuCount: realGpuCount(config, resources),
    onChecked: (faults) => agent.checked([...gpus.faults, ...faults]),
    onError,
  });
  // Before it joins, so that nothing is placed on a machine that is broken from the start.
  agent.checked([...gpus.faults, ...(await health.check())]);
  const onNotice = (deadlineMs: number): void => agent.interrupted(deadlineMs);
  const onRisk = (sinceMs: number): void => agent.atRisk(sinceMs);
  const watches: readonly Watch[] = [
    health,
    ...(metadata ? [new InterruptionWatch({ metadata, clock, onNotice, onRisk, onError })] : []),
  ];
  return watched(agent, { images, peers }, watches);
}

/** What the agent may hand out, and its kind of GPU: as configured, else as found. */
async function machineOf(
  config: AgentConfig,
): Promise<{ readonly resources: Resources; readonly gpuType: AgentConfig["gpuType"] }> {
  const detected = config.resources === undefined ? await detectGpus() : undefined;
  const machine = { ...machineResources(), gpuCount: detected?.gpuCount ?? 0 };
  return {
    resources: config.resources ?? machine,
    gpuType: config.gpuType ?? detected?.gpuType,
  };
}

interface NodeGpus {
  readonly access?: GpuAccess;
  /** What the node offers. */
  readonly resources: Resources;
  /** What makes the machine useless. */
  readonly faults: readonly string[];
  /** Why containers cannot have the cards. */
  readonly lack?: string;
}

/**
 * How containers get the real cards, or why they cannot. A machine that was rented for its cards
 * is broken then; one that is here anyway does without them.
 */
async function gpusOf(
  config: AgentConfig,
  { resources, gpuType = "" }: Awaited<ReturnType<typeof machineOf>>,
  cacheDir: string,
): Promise<NodeGpus> {
  const gpuCount = realGpuCount(config, resources);
  // Plain processes have the cards of the machine as they are.
  if (gpuCount === 0 || config.isolation === "process") return { resources, faults: [] };
  const opened = await openGpus({ gpuType, gpuCount, dir: join(cacheDir, "gpus") });
  if (opened.kind === "usable") return { access: opened.access, resources, faults: [] };
  const lack = `containers cannot have the ${gpuCount} ${gpuType}: ${opened.reason}`;
  if (config.rented !== undefined) return { resources, faults: [lack], lack };
  return { resources: { ...resources, gpuCount: 0 }, faults: [], lack };
}

/** GPUs that can be asked how they are. */
function realGpuCount({ emulatedGpus = false }: AgentConfig, { gpuCount }: Resources): number {
  return emulatedGpus ? 0 : gpuCount;
}

/** Something that runs beside the agent until it is closed. */
interface Watch {
  run(): Promise<void>;
  close(): void;
}

function watched(
  agent: NodeAgent,
  { images, peers }: { readonly images: NodeImages; readonly peers: PeerServer | undefined },
  watches: readonly Watch[],
): StartedAgent {
  const closeWatches = (): void => {
    for (const watch of watches) watch.close();
  };
  return {
    run: async () => {
      await Promise.all([agent.run().finally(closeWatches), ...watches.map((one) => one.run())]);
    },
    close: async () => {
      closeWatches();
      await peers?.close();
      await agent.close();
      await images.close();
    },
  };
}

function metadataOf({ cloud, metadataUrl: url }: RentedConfig, clock: Clock): CloudMetadata {
  return openCloudMetadata(cloud, { clock, ...(url === undefined ? {} : { url }) });
}

type Credentials = Pick<
  NodeAgentOptions,
  "token" | "joinHeaders" | "welcomeWithinMs" | "onSession" | "seed"
>;

/** With what the agent connects: its session of before, or its join token. */
async function credentialsOf(
  { token, nodeId, rented, dataDir }: AgentConfig,
  metadata: CloudMetadata | undefined,
  { clock }: AgentSurroundings,
): Promise<Credentials> {
  if (rented === undefined || metadata === undefined) return { token, seed: nodeId ?? token };
  const session = await readSession(dataDir);
  if (session !== undefined) return { token: session.sessionToken, seed: session.nodeId };
  const machineIds = await identify(metadata, clock);
  return {
    token,
    joinHeaders: { [BATCH_HEADER]: rented.batch, [MACHINE_HEADER]: machineIds.join(",") },
    welcomeWithinMs: WELCOME_WITHIN_MS,
    onSession: (joinedAs, sessionToken) =>
      writeSession(dataDir, { nodeId: joinedAs, sessionToken }),
    seed: machineIds.join(),
  };
}

/** The service may not answer yet when the machine has just begun to run. */
async function identify(metadata: CloudMetadata, clock: Clock): Promise<readonly string[]> {
  const deadlineMs = clock.nowMs() + IDENTITY_MS_MAX;
  for (;;) {
    try {
      return await metadata.machineIds();
    } catch (error) {
      if (clock.nowMs() >= deadlineMs) throw error;
      await clock.sleep(IDENTITY_RETRY_MS);
    }
  }
}

/** Chunks take at most this much of the disk, and half of what was free at the start. */
const CHUNK_BYTES_MAX = 20 * 1_024 ** 3;

async function createImages(
  { dataDir, isolation, serverUrl, chunkDirs = [] }: AgentConfig,
  { clock, onError }: AgentSurroundings,
  token: () => string,
): Promise<NodeImages> {
  if (isolation === "process") return NO_IMAGES;
  const { bavail, bsize } = await statfs(dataDir);
  return createMountedImages({
    dir: imagesDirOf(dataDir),
    chunksDir: chunksDirOf(dataDir),
    chunkBytesMax: Math.min(CHUNK_BYTES_MAX, (bavail * bsize) / 2),
    sharedDirs: chunkDirs,
    serverUrl,
    token,
    clock,
    onError,
  });
}

/** Gives chunks to other nodes where that is wanted; one that cannot is of use all the same. */
async function openPeers(
  { dataDir, isolation, serverUrl, peerPort }: AgentConfig,
  { clock, onError }: AgentSurroundings,
): Promise<PeerServer | undefined> {
  if (peerPort === undefined || isolation === "process") return undefined;
  // Nodes that find their server on this machine are found there too, and nowhere else.
  const isLoopback = /^(127\.|localhost$|\[::1\]$)/.test(new URL(serverUrl).hostname);
  const place = { port: peerPort, ...(isLoopback ? { host: "127.0.0.1" } : {}) };
  try {
    const stores = [await openDiskTier({ dir: chunksDirOf(dataDir) })];
    return await PeerServer.open({ ...place, stores, clock, onError });
  } catch (error) {
    onError(error, "giving chunks to other nodes");
    return undefined;
  }
}

async function createVolumes(
  { dataDir, isolation, serverUrl, chunkDirs = [] }: AgentConfig,
  { clock, onError }: AgentSurroundings,
  images: NodeImages,
  token: () => string,
): Promise<NodeVolumes | undefined> {
  if (isolation === "process") return undefined;
  const dir = volumesDirOf(dataDir);
  // What containers share is nobody else's on this machine.
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return createNodeVolumes({
    ...{ dir, images, serverUrl, token, clock, onError },
    sharedDirs: chunkDirs,
  });
}

async function createRuntime(
  config: AgentConfig,
  cacheDir: string,
  clock: Clock,
  gpus: GpuAccess | undefined,
): Promise<Runtime> {
  const { dataDir, isolation } = config;
  const runnerDir = await bundleRunner(join(cacheDir, "runners"));
  if (isolation === "process") return createProcessRuntime({ dir: dataDir, runnerDir });
  const images = join(cacheDir, "images");
  const rootfs = await prepareBaseImage(images);
  const pythonRootfs = (): Promise<string> => preparePythonImage(images);
  const cgroupParent = cgroupParentOf(dataDir);
  const gvisor = createGvisorRuntime({
    dir: dataDir,
    rootfs,
    pythonRootfs,
    runnerDir,
    cgroupParent,
    ...(gpus && { gpus }),
  });
  return withEgress(gvisor, egressOptionsOf(config, clock));
}
