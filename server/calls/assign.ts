/** Which container gets how many of the waiting inputs: a pure decision. */

/** What a container can take. */
export interface ContainerRoom {
  readonly containerId: string;
  readonly inflightCount: number;
  /** It takes nothing more for now. */
  readonly closed: boolean;
}

export interface Assignment {
  readonly containerId: string;
  readonly inputCount: number;
}

/**
 * Shares `waitingCount` inputs over containers with room, emptiest first.
 *
 * A container that is more than half full waits until it is not, so that inputs travel in
 * handfuls. Ties go to the smaller id. O(n log n) in containers.
 *
 * @param window Most inputs one container may hold, >= 1.
 */
export function assignInputs(
  waitingCount: number,
  containers: readonly ContainerRoom[],
  window: number,
): readonly Assignment[] {
  const open = containers
    .filter((container) => !container.closed && container.inflightCount <= Math.floor(window / 2))
    .filter((container) => container.inflightCount < window)
    .sort(byLoad);
  const assignments: Assignment[] = [];
  let left = waitingCount;
  for (const [position, container] of open.entries()) {
    const fairShare = Math.ceil(left / (open.length - position));
    const inputCount = Math.min(window - container.inflightCount, fairShare, left);
    if (inputCount <= 0) break;
    assignments.push({ containerId: container.containerId, inputCount });
    left -= inputCount;
  }
  return assignments;
}

function byLoad(a: ContainerRoom, b: ContainerRoom): number {
  return a.inflightCount - b.inflightCount || (a.containerId < b.containerId ? -1 : 1);
}
