/** Which container gets how many of the waiting inputs: a pure decision. */

/** How many inputs a container runs at once: at most, and what is aimed at. */
export interface InputConcurrency {
  readonly target: number;
  readonly max: number;
  /** A container gets one input in its life. */
  readonly isSingleUse?: boolean;
}

/** What a container can take. */
export interface ContainerRoom {
  readonly containerId: string;
  readonly inflightCount: number;
  /** Inputs it may hold; 0 while it takes nothing more. */
  readonly holdMax: number;
}

export interface Assignment {
  readonly containerId: string;
  readonly inputCount: number;
}

/**
 * Shares `waitingCount` inputs over containers with room.
 *
 * Containers that run one input at a time share evenly, emptiest first; one that is more than
 * half full waits until it is not, so that inputs travel in handfuls. Containers that run
 * several are filled one after the other up to the target, fullest first, so that the others
 * fall idle and can end; only what is left then is shared evenly up to what they may hold.
 * Ties go to the smaller id. O(n log n) in containers.
 */
export function assignInputs(
  waitingCount: number,
  containers: readonly ContainerRoom[],
  concurrency: InputConcurrency,
): readonly Assignment[] {
  if (concurrency.max === 1) return shared(waitingCount, containers.filter(isHungry));
  const given = new Map<string, number>();
  let left = waitingCount;
  const give = (assignments: readonly Assignment[]): boolean => {
    for (const { containerId, inputCount } of assignments) {
      given.set(containerId, (given.get(containerId) ?? 0) + inputCount);
      left -= inputCount;
    }
    return assignments.length > 0;
  };
  give(filledToTarget(left, containers, concurrency.target));
  // What one has no room for is shared again over the others.
  while (give(shared(left, withInputs(containers, given))));
  return [...given].map(([containerId, inputCount]) => ({ containerId, inputCount }));
}

function withInputs(
  containers: readonly ContainerRoom[],
  given: ReadonlyMap<string, number>,
): readonly ContainerRoom[] {
  return containers.map((one) => ({
    ...one,
    inflightCount: one.inflightCount + (given.get(one.containerId) ?? 0),
  }));
}

/** Not more than half full. */
function isHungry({ inflightCount, holdMax }: ContainerRoom): boolean {
  return inflightCount <= Math.floor(holdMax / 2);
}

function shared(waitingCount: number, containers: readonly ContainerRoom[]): readonly Assignment[] {
  const open = containers.filter((one) => one.inflightCount < one.holdMax).sort(byLoad);
  const assignments: Assignment[] = [];
  let left = waitingCount;
  for (const [position, container] of open.entries()) {
    const fairShare = Math.ceil(left / (open.length - position));
    const inputCount = Math.min(container.holdMax - container.inflightCount, fairShare, left);
    if (inputCount <= 0) break;
    assignments.push({ containerId: container.containerId, inputCount });
    left -= inputCount;
  }
  return assignments;
}

function filledToTarget(
  waitingCount: number,
  containers: readonly ContainerRoom[],
  target: number,
): readonly Assignment[] {
  const assignments: Assignment[] = [];
  let left = waitingCount;
  for (const { containerId, inflightCount, holdMax } of [...containers].sort(byFullness)) {
    const inputCount = Math.min(left, Math.min(target, holdMax) - inflightCount);
    if (inputCount <= 0) continue;
    assignments.push({ containerId, inputCount });
    left -= inputCount;
  }
  return assignments;
}

function byLoad(a: ContainerRoom, b: ContainerRoom): number {
  return a.inflightCount - b.inflightCount || (a.containerId < b.containerId ? -1 : 1);
}

function byFullness(a: ContainerRoom, b: ContainerRoom): number {
  return b.inflightCount - a.inflightCount || (a.containerId < b.containerId ? -1 : 1);
}
