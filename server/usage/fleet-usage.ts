/** The meter as the fleet sees it: containers with the nodes that they are on. */
import { assert, type Node } from "../../core/index.ts";
import type { ContainerRecord } from "../fleet/container-table.ts";
import type { ContainerUsage } from "../fleet/container-usage.ts";
import type { UsageMeter } from "./usage-meter.ts";

/** Ties a meter to the nodes of a fleet. */
export function fleetUsage(
  meter: UsageMeter,
  nodeOf: (nodeId: string) => Node | undefined,
): ContainerUsage & { readonly removed: (container: ContainerRecord) => void } {
  const placeOf = ({ nodeId, containerId }: ContainerRecord): Node => {
    const node = nodeId === undefined ? undefined : nodeOf(nodeId);
    assert(node !== undefined, `container ${containerId} is on a node that is known`);
    return node;
  };
  return {
    take: async (container) => {
      const outcome = await meter.open(container, placeOf(container));
      return outcome.kind === "refused" ? outcome.reason : undefined;
    },
    found: (container) => meter.resume(container, placeOf(container)),
    refused: ({ containerId }) => meter.cancelled(containerId),
    used: (uses) => meter.used(uses),
    settleNode: (nodeId) => meter.settleNode(nodeId),
    refusalOf: (live, held) => meter.refusalOf(live, held),
    spendingRefusal: (workspaceId) => meter.spendingRefusal(workspaceId),
    removed: ({ containerId, nodeId }) => {
      if (nodeId !== undefined) meter.ended(containerId);
    },
  };
}
