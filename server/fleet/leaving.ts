/**
 * Takes containers off nodes that are being drained, without cutting off what they do.
 *
 * A container on such a node gets no more inputs and gives back those that it has not begun; it
 * ends when it has finished the rest. Its function's autoscaler counts it no more, so another one
 * starts elsewhere meanwhile. What is unfinished at the pool's deadline goes back to the queue
 * when the machine is released. A container whose end takes time, for its exit hooks or to commit
 * its volumes, is ended so long before: half of the drain, and at most the grace that any end has.
 */
import type { Node } from "../../core/index.ts";
import type { FunctionDispatcher } from "../calls/function-dispatcher.ts";
import { STOP_GRACE_MS } from "./container-desk.ts";
import type { ContainerState } from "./container-table.ts";

/** What matters of a container here. */
export interface LeavingContainer {
  readonly containerId: string;
  readonly state: ContainerState;
  readonly nodeId: string | undefined;
  readonly live: {
    readonly dispatcher: Pick<FunctionDispatcher, "containerDrains" | "inflightCount">;
  };
  isLeaving: boolean;
  readonly endsSlowly: boolean;
}

export interface LeavingOptions<Container extends LeavingContainer> {
  readonly containers: () => readonly Container[];
  /** Undefined for a node that is not known. */
  readonly nodeOf: (nodeId: string) => Pick<Node, "state" | "stateSinceMs"> | undefined;
  /** When the pool releases a draining node at the latest; undefined while it has not said. */
  readonly releaseByMs: (nodeId: string) => number | undefined;
  /** Why a container should end although its node stays; absent: none should. */
  readonly reasonOf?: (container: Container) => string | undefined;
  /** Tells its node to end it within a grace; what it has goes back to the queue. */
  readonly stop: (container: Container, reason: string, graceMs?: number) => void;
}

const GIVEN_BACK = "its node is being given back";

/** Looks at the state of the nodes, so nothing is forgotten over a restart. */
export class Leaving<Container extends LeavingContainer> {
  readonly #options: LeavingOptions<Container>;

  constructor(options: LeavingOptions<Container>) {
    this.#options = options;
  }

  /** Begins what a drained node asks for, and ends what has finished or has no more time. */
  tick(nowMs: number): void {
    const { containers, nodeOf, reasonOf } = this.#options;
    for (const container of containers()) {
      const { nodeId } = container;
      if (nodeId === undefined) continue;
      const isDraining = nodeOf(nodeId)?.state === "draining";
      const reason = isDraining ? GIVEN_BACK : reasonOf?.(container);
      if (reason !== undefined) this.#leave(container, reason);
      if (isDraining && container.endsSlowly) this.#hurry(container, nodeId, nowMs);
    }
  }

  /** Ends what would be cut off, while there is time for it to end in peace. */
  #hurry(container: Container, nodeId: string, nowMs: number): void {
    const byMs = this.#options.releaseByMs(nodeId);
    const sinceMs = this.#options.nodeOf(nodeId)?.stateSinceMs;
    if (byMs === undefined || sinceMs === undefined || container.state === "stopping") return;
    const graceMs = Math.min(STOP_GRACE_MS, (byMs - sinceMs) / 2);
    if (nowMs < byMs - graceMs) return;
    const leftMs = Math.max(0, byMs - nowMs);
    this.#options.stop(container, `${GIVEN_BACK}; its inputs run elsewhere`, leftMs);
  }

  #leave(container: Container, reason: string): void {
    const { containerId, live } = container;
    if (container.state === "stopping") return;
    if (!container.isLeaving) {
      container.isLeaving = true;
      live.dispatcher.containerDrains(containerId);
    }
    if (live.dispatcher.inflightCount(containerId) > 0) return;
    this.#options.stop(container, reason);
  }
}
