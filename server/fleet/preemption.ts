/**
 * Ends running containers for more important ones, as the scheduler decided.
 *
 * A victim takes no more inputs from that moment and its node is told to end it; what it had goes
 * back to the queue and counts as no failure. Whoever it ended for goes first in the rounds that
 * follow, so that its room is not taken by another. Idle containers are given up before working
 * ones: who was helped by that already (eviction.ts) ends nobody here.
 */
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import type { WantedEnds } from "./placement.ts";

export interface PreemptionOptions {
  readonly containers: ContainerTable;
  readonly stop: (container: ContainerRecord, reason: string) => void;
}

/**
 * Carries out what a round of placement asked for.
 *
 * @param helpedIds Containers whose room is coming free without it.
 */
export function preempt(
  { evictions, reservations }: WantedEnds,
  helpedIds: ReadonlySet<string>,
  { containers, stop }: PreemptionOptions,
): void {
  for (const { containerId, forContainerId, reason } of evictions) {
    const victim = containers.get(containerId);
    if (victim === undefined || helpedIds.has(forContainerId ?? "")) continue;
    const winner = forContainerId === undefined ? undefined : containers.get(forContainerId);
    stop(victim, `evicted: ${winner === undefined ? reason : reasonFor(victim, winner)}`);
    if (winner !== undefined) winner.isOwed = true;
  }
  for (const { containerId, isComingFree } of reservations) {
    // It waits for what is ending and asks for no machine meanwhile.
    const waiting = containers.get(containerId);
    if (isComingFree && waiting?.state === "pending") waiting.pendingReason = undefined;
  }
}

function reasonFor(victim: ContainerRecord, winner: ContainerRecord): string {
  const { app, name, spec, workspaceId } = winner.live;
  const rank =
    victim.live.workspaceId === workspaceId
      ? `has priority ${spec.priority} over ${victim.live.spec.priority}`
      : `takes back what workspace ${workspaceId} is guaranteed`;
  return `${app}/${name} ${rank} and waits for its room`;
}
