/** Stops idle containers whose slots others wait for, as the scheduler decides. */
import { type Clock, type Node, type SchedulerPolicy } from "../../core/index.ts";
import {
  evict,
  fitsOnNode,
  type EvictableContainer,
  type FitsOn,
  type WaitingContainer,
} from "../../scheduler/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import { placedOf, type ContainerRecord, type ContainerTable } from "./container-table.ts";

export interface EvictionOptions {
  readonly containers: ContainerTable;
  /** Nodes that containers can be placed on. */
  readonly nodes: () => readonly Node[];
  readonly clock: Clock;
  readonly policy: SchedulerPolicy;
  readonly stop: (container: ContainerRecord, reason: string) => void;
}

/** Assumed of a function whose containers were all taken over from before a restart. */
const STARTUP_MS_ASSUMED = 1_000;
/** Waiting containers looked at in one round; the others come later. */
const WAITING_MAX = 200;

export class EvictionRound {
  readonly #options: EvictionOptions;
  readonly #fitsOn: FitsOn;

  constructor(options: EvictionOptions) {
    this.#options = options;
    this.#fitsOn = fitsOnNode(options.clock, options.policy);
  }

  /**
   * To be called after placement. A container whose room is coming free waits for that: it asks
   * for no machine meanwhile.
   *
   * @returns those whose room is coming free.
   */
  tick(): ReadonlySet<string> {
    const { containers, clock, nodes, stop } = this.#options;
    const helpedIds = new Set<string>();
    const nowMs = clock.nowMs();
    const waiting = waitingIn(containers.all(), nowMs).slice(0, WAITING_MAX);
    if (waiting.length === 0) return helpedIds;
    const evictions = evict(
      {
        fitsOn: this.#fitsOn,
        waiting: waiting.map(waitingOf),
        nodes: nodes(),
        containers: containers.all().flatMap(evictableOf),
        kept: new Map(containers.all().map(({ live }) => [live.functionId, keptOf(live)])),
      },
      nowMs,
    );
    for (const eviction of evictions) {
      for (const { containerId, reason } of eviction.stop) {
        const container = containers.get(containerId);
        if (container !== undefined) stop(container, reason);
      }
      const helped = containers.get(eviction.forContainerId);
      if (helped === undefined) continue;
      helped.pendingReason = undefined;
      helped.isOwed = true;
      helpedIds.add(helped.containerId);
    }
    return helpedIds;
  }
}

/**
 * Those without a node that inputs wait for: neither a floor nor a buffer evicts anybody, nor
 * does one that a node's agent has just turned away.
 */
export function waitingIn(
  all: readonly ContainerRecord[],
  nowMs: number,
): readonly ContainerRecord[] {
  const unplaced = all.filter(
    ({ state, pendingReason, wantsRoom, refusedUntilMs }) =>
      state === "pending" &&
      pendingReason !== undefined &&
      wantsRoom &&
      [...refusedUntilMs.values()].every((untilMs) => untilMs <= nowMs),
  );
  const byFunction = Map.groupBy(unplaced, ({ live }) => live);
  return [...byFunction].flatMap(([live, own]) => {
    const { openCount } = live.open;
    const backlog = Math.max(0, openCount - live.dispatcher.runningCount);
    const needed = Math.ceil(backlog / live.spec.targetConcurrentInputs);
    return own.slice(0, needed);
  });
}

function waitingOf({ containerId, live, requestedAtMs }: ContainerRecord): WaitingContainer {
  const { functionId, needs } = live;
  return { containerId, functionId, functionName: nameOf(live), needs, requestedAtMs };
}

function evictableOf(container: ContainerRecord): readonly EvictableContainer[] {
  const { live, nodeId, state } = container;
  if (nodeId === undefined) return [];
  return [
    {
      ...placedOf(container, nodeId),
      functionName: nameOf(live),
      ending: state === "stopping",
      startupMs: live.startupMs ?? STARTUP_MS_ASSUMED,
    },
  ];
}

function keptOf({ spec, retired }: LiveFunction): {
  readonly minContainers: number;
  readonly bufferContainers: number;
} {
  if (retired) return { minContainers: 0, bufferContainers: 0 };
  return { minContainers: spec.minContainers, bufferContainers: spec.bufferContainers };
}

function nameOf({ app, name }: LiveFunction): string {
  return `${app}/${name}`;
}
