/** This machine: its provider, and its place in the fleet. */
import { join } from "node:path";
import { assert } from "../../core/index.ts";
import type { Provider } from "../../providers/index.ts";
import { createProviders } from "../../providers/registry.ts";
import { detectGpus, machineResources, parseEmulatedGpus } from "../../sandbox/index.ts";
import type { LocalNodeConfig, PlatformConfig } from "../config.ts";
import { joinTokenFor } from "../fleet/join-tokens.ts";
import { LocalAgents, localUserDataOf } from "../fleet/local-agents.ts";
import { giveBackAll, LocalNode } from "../fleet/local-node.ts";
import type { NodeTable } from "../fleet/node-table.ts";
import { blobDirOf } from "./blobs.ts";
import type { Closers } from "./closers.ts";
import type { Foundations } from "./foundations.ts";
import { localAgentsDirOf } from "./leftovers.ts";
import { DEFAULT_WORKSPACE } from "../workspaces/default-workspace.ts";

/** The rental desk of this machine, and its agents. */
export interface LocalDesk {
  readonly provider: Provider;
  readonly agents: LocalAgents;
}

/**
 * Opens the desk of this machine and gives back what a killed platform had rented of it: also
 * when the settings say that it is not for rent any more.
 */
export async function openLocalDesk(
  { dataDir, localNode }: PlatformConfig,
  { cacheDir, clock }: Foundations,
  closers: Closers,
): Promise<LocalDesk> {
  const agents = new LocalAgents({ agentsDir: localAgentsDirOf(dataDir), cacheDir, clock });
  const price = localNode?.priceMicroUsdPerHour;
  const providers = await createProviders({
    local: {
      machine: await machineOf(localNode),
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
  await giveBackAll(provider);
  return { provider, agents };
}

/** Takes this machine into the fleet, when the settings say so; resolves once its agent is there. */
export async function startLocalNode(
  config: PlatformConfig,
  foundations: Foundations,
  place: {
    readonly desk: LocalDesk;
    readonly nodes: NodeTable;
    readonly serverUrl: string;
    readonly closers: Closers;
  },
): Promise<void> {
  const { localNode, policy, egressOpenRanges } = config;
  if (localNode === undefined) return;
  const blobDir = blobDirOf(config);
  const { desk, nodes, serverUrl, closers } = place;
  const { isolation } = localNode;
  const { chunks } = foundations;
  const nodeId = foundations.ids.next("no");
  const joins = {
    ...foundations,
    tokens: foundations.store.tokens,
    workspaceId: DEFAULT_WORKSPACE,
    lifetimeMs: policy.pool.registrationTimeoutMs,
  };
  const local = new LocalNode({
    ...foundations,
    nodeId,
    isolation,
    provider: desk.provider,
    nodes,
    userDataFor: async ({ resources, gpuType, emulated }) =>
      localUserDataOf({
        serverUrl,
        nodeId,
        token: await joinTokenFor(nodeId, joins),
        isolation,
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
