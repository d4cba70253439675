/**
 * Which nodes are unfit: those whose agents say that something is broken, and those that have
 * less than their offer promised.
 *
 * The whole machine is given up for one fault. When more than a fraction of all nodes is unfit or
 * silent at once, the fault is rather in a check, a driver or a region than in each of them:
 * then none is repaired, and people are told.
 *
 * Pure. O(nodes).
 */
import type { Node, Offer } from "../core/index.ts";
import type { AgentSighting } from "./ports.ts";

/** A node whose agent counts, and whether it is silent. */
export interface WatchedNode {
  readonly node: Node;
  readonly agent: AgentSighting | undefined;
  readonly isSilent: boolean;
}

export interface Fitness {
  /** What is wrong with each unfit node, by node id. */
  readonly faults: ReadonlyMap<string, string>;
  /** Too many are unfit at once: none is repaired. */
  readonly isRepairHalted: boolean;
}

/** One node may always be repaired, however few there are. */
const REPAIR_COUNT_OK = 1;

/** Looks at all nodes at once. */
export function fitnessOf(
  nodes: readonly WatchedNode[],
  offersById: ReadonlyMap<string, Offer>,
  unhealthyFractionMax: number,
): Fitness {
  const faults = new Map<string, string>();
  let silentCount = 0;
  for (const { node, agent, isSilent } of nodes) {
    if (isSilent) silentCount += 1;
    const fault = faultOf(node, agent, offersById);
    if (fault !== undefined && !isSilent) faults.set(node.nodeId, fault);
  }
  const okCount = Math.max(REPAIR_COUNT_OK, Math.ceil(unhealthyFractionMax * nodes.length));
  return { faults, isRepairHalted: faults.size > 0 && faults.size + silentCount > okCount };
}

/** What is wrong with a node; undefined when nothing is known to be. */
export function faultOf(
  node: Node,
  agent: AgentSighting | undefined,
  offersById: ReadonlyMap<string, Offer>,
): string | undefined {
  const first = agent?.faults?.[0];
  if (first !== undefined) return first;
  const resources = agent?.resources;
  if (resources === undefined) return undefined;
  const { gpuCount } = resources;
  const offer = offersById.get(node.offerId ?? "");
  if (offer === undefined || gpuCount >= offer.resources.gpuCount) return undefined;
  return `it has ${gpuCount} of the ${offer.resources.gpuCount} GPUs of its offer`;
}
