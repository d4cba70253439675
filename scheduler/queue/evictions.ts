/**
 * Evictions: which containers end so that a more important request gets their room.
 *
 * Only containers that say so are ended, and only
 * - those of the same workspace with a lower priority, or
 * - those of a workspace that holds more than it is guaranteed, when the request stays within
 *   the guarantee of its own.
 *
 * On each node the least important go first and no more than needed; the node that loses the
 * least is chosen: by highest priority ended, then GPUs, then containers, then node id.
 */
import type { ContainerRequest, PlacedContainer } from "../../core/index.ts";
import { failedProfileStage } from "../feasibility.ts";
import type { FleetIndex, IndexedNode } from "../fleet/fleet-index.ts";
import { fewestLeaving } from "../fleet/leaving.ts";
import type { RequestClass } from "../fleet/request-class.ts";
import { NO_WORKSPACE, type WorkspaceShares } from "./shares.ts";

/** Containers that end, all on one node. Those that end already are not among them. */
export interface EvictionChoice {
  readonly nodeId: string;
  readonly victims: readonly PlacedContainer[];
}

export interface EvictionQuestion {
  readonly request: RequestClass;
  readonly wanted: ContainerRequest;
  readonly index: FleetIndex;
  /** Containers that may be ended or are ending, by node. */
  readonly endable: ReadonlyMap<string, readonly PlacedContainer[]>;
  readonly shares: WorkspaceShares;
  readonly countMax: number;
  readonly accepts: (node: IndexedNode) => boolean;
}

/** The cheapest way to make room, or `undefined` when there is none. O(endable containers). */
export function chooseEvictions(question: EvictionQuestion): EvictionChoice | undefined {
  const { index, endable, request, accepts, countMax } = question;
  const choices = [...endable].flatMap(([nodeId, containers]) => {
    const node = index.node(nodeId);
    if (node === undefined || !accepts(node)) return [];
    if (failedProfileStage(node.profile, request) !== undefined) return [];
    const victims = fewestVictims(
      node,
      containers.filter((one) => mayEnd(one, question)),
      question,
    );
    return victims !== undefined && victims.length <= countMax ? [{ nodeId, victims }] : [];
  });
  return choices.sort(byLoss)[0];
}

function mayEnd(
  container: PlacedContainer,
  { wanted, request, shares }: EvictionQuestion,
): boolean {
  if (container.ending === true) return true;
  if (container.evictable !== true) return false;
  const own = (wanted.workspaceId ?? NO_WORKSPACE) === (container.workspaceId ?? NO_WORKSPACE);
  if (own) return (container.priority ?? 0) < (wanted.priority ?? 0);
  const more = {
    gpuCount: request.gpuCount,
    cpuMilli: request.cpuMilli,
    memoryMiB: request.memoryMiB,
  };
  return shares.isBorrowing(container.workspaceId) && shares.isGuaranteed(wanted.workspaceId, more);
}

function fewestVictims(
  node: IndexedNode,
  containers: readonly PlacedContainer[],
  { request, index }: EvictionQuestion,
): readonly PlacedContainer[] | undefined {
  const order = containers.toSorted(byImportance).flatMap((container) => {
    const taken = index.residence(container.containerId)?.taken;
    return taken === undefined ? [] : [{ container, taken }];
  });
  const isFree = ({ container }: { readonly container: PlacedContainer }): boolean =>
    container.ending === true;
  return fewestLeaving(node, order, { request, isFree })
    ?.filter((one) => !isFree(one))
    .map(({ container }) => container);
}

/** Those that end anyway first, then the least important, idle ones, the youngest id. */
function byImportance(one: PlacedContainer, other: PlacedContainer): number {
  return (
    Number(other.ending === true) - Number(one.ending === true) ||
    (one.priority ?? 0) - (other.priority ?? 0) ||
    Number(other.idleSinceMs !== undefined) - Number(one.idleSinceMs !== undefined) ||
    (one.containerId > other.containerId ? -1 : 1)
  );
}

function byLoss(one: EvictionChoice, other: EvictionChoice): number {
  const worst = ({ victims }: EvictionChoice): number =>
    Math.max(Number.NEGATIVE_INFINITY, ...victims.map(({ priority = 0 }) => priority));
  const gpus = ({ victims }: EvictionChoice): number =>
    victims.reduce((sum, { resources }) => sum + resources.gpuCount, 0);
  if (worst(one) !== worst(other)) return worst(one) - worst(other);
  return (
    gpus(one) - gpus(other) ||
    one.victims.length - other.victims.length ||
    (one.nodeId < other.nodeId ? -1 : 1)
  );
}
