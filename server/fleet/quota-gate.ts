/** Which waiting containers their workspaces' quotas have room for. Pure. */
import type { ContainerRecord } from "./container-table.ts";
import type { ContainerUsage } from "./container-usage.ts";

export interface GatedContainers {
  /** Those that wait for a node and may have one. */
  readonly admitted: readonly ContainerRecord[];
  readonly refused: readonly { readonly container: ContainerRecord; readonly reason: string }[];
}

/**
 * Goes through the waiting containers in their order and admits each that fits beside what its
 * workspace holds and what was admitted before it. The last word is the record store's; this
 * spares machines for what would be refused there.
 */
export function withinQuotas(
  containers: readonly ContainerRecord[],
  usage: Pick<ContainerUsage, "refusalOf"> | undefined,
): GatedContainers {
  const waiting = containers.filter(({ state }) => state === "pending");
  if (usage === undefined || waiting.length === 0) return { admitted: waiting, refused: [] };
  const held = new Map<string, { containers: number; gpuMilli: number }>();
  const heldBy = (workspaceId: string): { containers: number; gpuMilli: number } => {
    const known = held.get(workspaceId) ?? { containers: 0, gpuMilli: 0 };
    held.set(workspaceId, known);
    return known;
  };
  const take = ({ live }: ContainerRecord): void => {
    const its = heldBy(live.workspaceId);
    its.containers += 1;
    its.gpuMilli += live.gpuCount * 1_000;
  };
  for (const container of containers) if (container.nodeId !== undefined) take(container);
  const admitted: ContainerRecord[] = [];
  const refused: { container: ContainerRecord; reason: string }[] = [];
  for (const container of waiting) {
    const reason = usage.refusalOf(container.live, heldBy(container.live.workspaceId));
    if (reason === undefined) {
      take(container);
      admitted.push(container);
    } else refused.push({ container, reason });
  }
  return { admitted, refused };
}
