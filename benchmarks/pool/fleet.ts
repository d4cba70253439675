/** A fleet and a market of any size, with a little of everything to do. */
import {
  createRng,
  DEFAULT_POOL_POLICY,
  offerIdOf,
  type Offer,
  type PlacedContainer,
} from "../../core/index.ts";
import type { PoolNode } from "../../pool/observe.ts";
import type { AgentSighting } from "../../pool/ports.ts";
import type { PoolSnapshot } from "../../pool/snapshot.ts";

const NOW_MS = 10_000_000;
const REGIONS = 10;

/** So many offers of 8 GPUs, each a little dearer than the one before it. */
export function marketOf(offerCount: number): readonly Offer[] {
  return Array.from({ length: offerCount }, (_, index) => {
    const region = `r${index % REGIONS}`;
    const offer: Omit<Offer, "offerId"> = {
      cloud: "fake",
      region,
      instanceType: `type-${Math.floor(index / REGIONS)}`,
      purchase: index % 3 === 0 ? "spot" : "on-demand",
      gpuType: index % 2 === 0 ? "H100" : "A100-80GB",
      resources: { gpuCount: 8, cpuMilli: 64_000, memoryMiB: 524_288 },
      priceMicroUsdPerHour: 20_000_000 + index * 1_000,
      reclaimFractionPerHour: 0.01,
      bootMs: 60_000,
      nodeCountMax: 100_000,
      quotaGroups: [`fake/${region}`],
      emulated: true,
    };
    return { ...offer, offerId: offerIdOf(offer) };
  });
}

/** A snapshot of `nodeCount` healthy nodes; some are taken back, some are surplus, some missing. */
export function snapshotOf(nodeCount: number, offers: readonly Offer[]): PoolSnapshot {
  const rng = createRng(`pool ${nodeCount}`);
  const nodes: PoolNode[] = [];
  const agents = new Map<string, AgentSighting>();
  const emptySinceMs = new Map<string, number>();
  const reclaimedAtMs = new Map<string, number>();
  const containers: PlacedContainer[] = [];
  const counts = new Map<string, number>();
  for (let index = 0; index < nodeCount; index += 1) {
    const offer = offers[rng.below(Math.min(200, offers.length))];
    if (offer === undefined) continue;
    const nodeId = `no_${String(index).padStart(26, "0")}`;
    counts.set(offer.offerId, (counts.get(offer.offerId) ?? 0) + 1);
    nodes.push({ ...nodeOf(nodeId, offer), listed: "running", absentCount: 0 });
    agents.set(nodeId, { lastHeardAtMs: NOW_MS });
    if (rng.below(1_000) === 0) reclaimedAtMs.set(nodeId, NOW_MS + 120_000);
    if (rng.below(10) === 0) emptySinceMs.set(nodeId, 0);
    else containers.push(containerOn(nodeId));
  }
  const desired = [...counts].map(([offerId, count]) => ({
    offerId,
    count: count + rng.below(3) - 1,
    reason: "demand",
  }));
  return {
    desired,
    offers,
    nodes,
    containers,
    agents,
    emptySinceMs,
    refusals: [],
    reclaimedAtMs,
    strays: [],
    unreachableClouds: new Set(),
    watchingSinceMs: 0,
    policy: { ...DEFAULT_POOL_POLICY, nodeCountMax: 2 * nodeCount },
  };
}

/** When the snapshots are of. */
export const SNAPSHOT_MS = NOW_MS;

function nodeOf(nodeId: string, offer: Offer): Pick<PoolNode, "record"> {
  const { offerId, cloud, region, instanceType, purchase, gpuType, resources, emulated } = offer;
  return {
    record: {
      node: {
        nodeId,
        providerNodeId: `m-${nodeId}`,
        ...{ offerId, cloud, region, instanceType, purchase, resources, emulated },
        ...(gpuType === undefined ? {} : { gpuType }),
        priceMicroUsdPerHour: offer.priceMicroUsdPerHour,
        state: "healthy",
        stateSinceMs: 0,
        isolation: "gvisor",
      },
      clientToken: `rent-${nodeId}`,
      reason: "demand",
      requestedAtMs: 0,
      launchedAtMs: 0,
    },
  };
}

function containerOn(nodeId: string): PlacedContainer {
  const resources = { gpuCount: 1, cpuMilli: 1_000, memoryMiB: 1_024 };
  return { containerId: `co_${nodeId}`, functionId: "fn_1", nodeId, resources };
}
