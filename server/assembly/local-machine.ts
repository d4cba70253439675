/** This machine: its provider, and its place in the fleet. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { assert } from "../../core/index.ts";
import type { Provider } from "../../providers/index.ts";
import { createProviders } from "../../providers/registry.ts";
import {
  AGENT_VERSION,
  detectGpus,
  machineResources,
  parseEmulatedGpus,
} from "../../sandbox/index.ts";
import type { LocalNodeConfig, PlatformConfig } from "../config.ts";
import { ALONE_MS_MAX } from "../fleet/agent-process.ts";
import { joinTokenFor } from "../fleet/join-tokens.ts";
import { LocalAgents, localUserDataOf } from "../fleet/local-agents.ts";
import { giveBackAll, isUp, LocalNode } from "../fleet/local-node.ts";
import type { NodeTable } from "../fleet/node-table.ts";
import { blobDirOf } from "./blobs.ts";
import type { Closers } from "./closers.ts";
import type { Foundations } from "./foundations.ts";
import { localAgentsDirOf } from "./leftovers.ts";
import { DEFAULT_WORKSPACE } from "../workspaces/default-workspace.ts";

/** This machine as a killed platform left it: its agent runs, and may go on. */
interface LeftMachine {
  readonly nodeId: string;
  readonly machineId: string;
}

/** The rental desk of this machine, and its agents. */
export interface LocalDesk {
  readonly provider: Provider;
  readonly agents: LocalAgents;
  /** What an agent must have been started with to go on; undefined when none may. */
  readonly settings: string | undefined;
  readonly left: LeftMachine | undefined;
}

/** Under which a machine has the settings of its agent. */
const SETTINGS_TAG = "flotilla:settings";

/**
 * Opens the desk of this machine and gives back what a killed platform had rented of it, but for
 * an agent that was started with the same settings; also when the settings say that it is not
 * for rent any more.
 */
export async function openLocalDesk(
  config: PlatformConfig,
  foundations: Foundations,
  closers: Closers,
): Promise<LocalDesk> {
  const { dataDir, localNode } = config;
  const { cacheDir, clock } = foundations;
  const agents = new LocalAgents({ agentsDir: localAgentsDirOf(dataDir), cacheDir, clock });
  const price = localNode?.priceMicroUsdPerHour;
  const machine = await machineOf(localNode);
  const providers = await createProviders({
    local: {
      machine,
      ...(price === undefined ? {} : { priceMicroUsdPerHour: price }),
      nodeCountMax: localNode === undefined ? 0 : 1,
      bookPath: join(dataDir, "local-machines.json"),
      host: agents,
      clock,
    },
  });
  const provider = providers.get("local");
  assert(provider !== undefined, "a provider that was asked for was opened");
  closers.add("the desk of this machine", () => provider.close());
  const settings = settingsOf(config, foundations, machine);
  const left = await keepLeft(provider, settings);
  return { provider, agents, settings, left };
}

/** The machine that goes on, if the ledger still knows its node; otherwise it is given back. */
export async function takeOver(
  { provider, left }: LocalDesk,
  nodes: NodeTable,
): Promise<LeftMachine | undefined> {
  if (left === undefined || nodes.get(left.nodeId) !== undefined) return left;
  await giveBackAll(provider);
  return undefined;
}

/** Gives everything back but one machine that runs with these settings. */
async function keepLeft(
  provider: Provider,
  settings: string | undefined,
): Promise<LeftMachine | undefined> {
  const { nodes: machines } = await provider.listNodes();
  const kept = machines.find((machine) => {
    return settings !== undefined && isUp(machine) && machine.tags[SETTINGS_TAG] === settings;
  });
  const others = machines.filter((machine) => machine !== kept);
  await provider.release(others.map(({ providerNodeId }) => providerNodeId));
  if (kept?.nodeId === undefined) return undefined;
  return { nodeId: kept.nodeId, machineId: kept.providerNodeId };
}

/**
 * A digest of all that an agent of this machine is told and finds out at its start, but for who
 * it is. A server on any free port is found by none of before.
 */
function settingsOf(
  config: PlatformConfig,
  { chunks }: Foundations,
  machine: Awaited<ReturnType<typeof machineOf>>,
): string | undefined {
  const { localNode, egressOpenRanges, host, port } = config;
  if (localNode === undefined || port === 0) return undefined;
  const { isolation, priceMicroUsdPerHour } = localNode;
  const told = {
    host,
    port,
    isolation,
    machine,
    priceMicroUsdPerHour,
    egressOpenRanges,
    chunkDir: chunks.dir,
    blobDir: blobDirOf(config),
  };
  const text = JSON.stringify({ ...told, agentVersion: AGENT_VERSION });
  return createHash("sha256").update(text).digest("hex");
}

/** Takes this machine into the fleet, when the settings say so; resolves once its agent is there. */
export async function startLocalNode(
  config: PlatformConfig,
  foundations: Foundations,
  place: {
    readonly desk: LocalDesk;
    readonly left: LeftMachine | undefined;
    readonly nodes: NodeTable;
    readonly serverUrl: string;
    readonly closers: Closers;
  },
): Promise<void> {
  const { localNode, policy, egressOpenRanges } = config;
  if (localNode === undefined) return;
  const blobDir = blobDirOf(config);
  const { desk, left, nodes, serverUrl, closers } = place;
  const { isolation } = localNode;
  const { chunks } = foundations;
  const nodeId = left?.nodeId ?? foundations.ids.next("no");
  const joins = {
    ...foundations,
    tokens: foundations.store.tokens,
    workspaceId: DEFAULT_WORKSPACE,
    lifetimeMs: policy.pool.registrationTimeoutMs,
  };
  const local = new LocalNode({
    ...foundations,
    nodeId,
    ...(left === undefined ? {} : { leftMachineId: left.machineId }),
    ...(desk.settings === undefined ? {} : { tags: { [SETTINGS_TAG]: desk.settings } }),
    isolation,
    provider: desk.provider,
    nodes,
    userDataFor: async ({ resources, gpuType, emulated }) =>
      localUserDataOf({
        serverUrl,
        nodeId,
        token: await joinTokenFor(nodeId, joins),
        isolation,
        aloneMsMax: ALONE_MS_MAX,
        resources,
        ...(gpuType === undefined ? {} : { gpuType, emulatedGpus: emulated }),
        ...(chunks.dir === undefined ? {} : { chunkDirs: [chunks.dir] }),
        ...(blobDir === undefined ? {} : { blobDir }),
        ...(egressOpenRanges && { egressOpenRanges }),
      }),
    logTail: (machineId) => desk.agents.logTail(machineId),
  });
  local.start();
  closers.add("the local node", () => local.close());
  await local.untilJoined();
}

/** What this machine has; declared GPUs go before those that are found. */
async function machineOf(localNode: LocalNodeConfig | undefined) {
  const declared = parseEmulatedGpus(localNode?.emulatedGpus ?? "");
  const gpus = declared ?? (localNode === undefined ? undefined : await detectGpus());
  const resources = { ...machineResources(), gpuCount: gpus?.gpuCount ?? 0 };
  const isDeclared = declared !== undefined;
  return { resources, ...(gpus && { gpuType: gpus.gpuType }), emulated: isDeclared };
}
