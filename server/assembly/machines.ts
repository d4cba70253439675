/** The machines of a platform: rented ones, emulated ones, and this one. */
import type { CloudName, Node } from "../../core/index.ts";
import { catalogRegions, type Provider } from "../../providers/index.ts";
import { createProviders } from "../../providers/registry.ts";
import { machineResources, parseEmulatedGpus } from "../../sandbox/index.ts";
import type { PlatformConfig } from "../config.ts";
import { startEmulatedCloud } from "../fleet/emulated-cloud.ts";
import { joinTokenFor } from "../fleet/join-tokens.ts";
import { LocalNode } from "../fleet/local-node.ts";
import type { NodeTable } from "../fleet/node-table.ts";
import type { Closers } from "./closers.ts";
import type { Foundations } from "./foundations.ts";

/** The workspace of an embedded platform. */
export const DEFAULT_WORKSPACE = "default";

/** Opens the clouds that the settings name; none by default. */
export async function openProviders(
  config: PlatformConfig,
  foundations: Foundations,
  closers: Closers,
): Promise<ReadonlyMap<CloudName, Provider>> {
  const { clock, clusterId, agentsDir, cacheDir } = foundations;
  if (config.emulatedEc2 !== undefined) {
    const { bootMs } = config.emulatedEc2;
    const emulator = await startEmulatedCloud({ agentsDir, cacheDir, bootMs, clock });
    closers.add("the emulated EC2", () => emulator.close());
    return createProviders({
      aws: {
        regions: catalogRegions("aws"),
        clusterId,
        clock,
        endpoint: emulator.endpoint,
        credentials: { accessKeyId: "AKIAEMULATED", secretAccessKey: "emulated" },
        emulated: true,
        bootMs,
      },
    });
  }
  if (config.awsRegions.length === 0) return new Map();
  return createProviders({ aws: { regions: config.awsRegions, clusterId, clock } });
}

/** The join token of a node of this platform. */
export async function joinToken(
  nodeId: string,
  { store, clock, ids, key }: Foundations,
  lifetimeMs: number,
): Promise<string> {
  const { tokens } = store;
  return joinTokenFor(nodeId, {
    tokens,
    clock,
    ids,
    key,
    workspaceId: DEFAULT_WORKSPACE,
    lifetimeMs,
  });
}

/** Takes this machine into the fleet, when the settings say so, and starts its agent. */
export async function startLocalNode(
  config: PlatformConfig,
  foundations: Foundations,
  place: { readonly nodes: NodeTable; readonly serverUrl: string },
): Promise<LocalNode | undefined> {
  const { clock, ids, agentsDir, cacheDir, onError } = foundations;
  await closeFormerLocalNodes(place.nodes, clock.nowMs());
  if (config.localNode === undefined) return undefined;
  const { isolation, emulatedGpus } = config.localNode;
  const gpus = emulatedGpus === undefined ? undefined : parseEmulatedGpus(emulatedGpus);
  const resources = { ...machineResources(), gpuCount: gpus?.gpuCount ?? 0 };
  const nowMs = clock.nowMs();
  const node: Node = {
    nodeId: ids.next("no"),
    cloud: "local",
    region: "local",
    instanceType: "this-machine",
    purchase: "on-demand",
    ...(gpus === undefined ? {} : { gpuType: gpus.gpuType }),
    resources,
    priceMicroUsdPerHour: 0,
    state: "booting",
    stateSinceMs: nowMs,
    emulated: gpus !== undefined,
    isolation,
  };
  const reason = "this machine is part of the fleet";
  const times = { requestedAtMs: nowMs, launchedAtMs: nowMs };
  await place.nodes.put({ node, clientToken: node.nodeId, reason, ...times, gpuMsUsed: 0 }, nowMs);
  const local = new LocalNode({
    agentsDir,
    cacheDir,
    nodeId: node.nodeId,
    joinToken: () => joinToken(node.nodeId, foundations, config.policy.pool.registrationTimeoutMs),
    config: {
      serverUrl: place.serverUrl,
      isolation,
      resources,
      ...(gpus === undefined ? {} : { gpuType: gpus.gpuType, emulatedGpus: true }),
    },
    clock,
    onError,
  });
  local.start();
  return local;
}

/** This machine is a new node on every start; the one of the last start has ended. */
async function closeFormerLocalNodes(nodes: NodeTable, nowMs: number): Promise<void> {
  for (const { stored } of nodes.all()) {
    if (stored.node.cloud !== "local") continue;
    const node: Node = { ...stored.node, state: "terminated", stateSinceMs: nowMs };
    await nodes.put({ ...stored, node, terminatedAtMs: nowMs }, nowMs);
  }
}
