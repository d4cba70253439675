/**
 * Takes containers off nodes that are being drained, without cutting off what they do.
 *
 * A container on such a node gets no more inputs and gives back those that it has not begun; it
 * ends when it has finished the rest. Its function's autoscaler counts it no more, so another one
 * starts elsewhere meanwhile. What is unfinished at the pool's deadline goes back to the queue
 * when the machine is released.
 */
import type { NodeState } from "../../core/index.ts";
import type { FunctionDispatcher } from "../calls/function-dispatcher.ts";
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
}

export interface LeavingOptions<Container extends LeavingContainer> {
  readonly containers: () => readonly Container[];
  /** Undefined for a node that is not known. */
  readonly stateOf: (nodeId: string) => NodeState | undefined;
  /** Why a container should end although its node stays; absent: none should. */
  readonly reasonOf?: (container: Container) => string | undefined;
  /** Tells its node to end it; what it has goes back to the queue. */
  readonly stop: (container: Container, reason: string) => void;
}

/** Looks at the state of the nodes, so nothing is forgotten over a restart. */
export class Leaving<Container extends LeavingContainer> {
  readonly #options: LeavingOptions<Container>;

  constructor(options: LeavingOptions<Container>) {
    this.#options = options;
  }

  /** Begins what a drained node asks for, and ends what has finished. */
  tick(): void {
    const { containers, stateOf, reasonOf } = this.#options;
    for (const container of containers()) {
      const { nodeId } = container;
      if (nodeId === undefined) continue;
      const isDraining = stateOf(nodeId) === "draining";
      const reason = isDraining ? "its node is being given back" : reasonOf?.(container);
      if (reason !== undefined) this.#leave(container, reason);
    }
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
