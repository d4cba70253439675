/** The containers of this fleet, wanted and running, and how they change. */
import type { ContainerNeeds, PlacedContainer } from "../../core/index.ts";
import { resourcesOf } from "../../core/index.ts";
import type { LiveFunction } from "../calls/function-table.ts";

/** `pending` has no node yet; `stopping` takes no more inputs. */
export type ContainerState = "pending" | "starting" | "ready" | "stopping";

export interface ContainerRecord {
  readonly containerId: string;
  readonly live: LiveFunction;
  readonly requestedAtMs: number;
  state: ContainerState;
  nodeId: string | undefined;
  startedAtMs: number | undefined;
  readyAtMs: number | undefined;
  /** Since when it has had no input; undefined while it starts or works. */
  idleSinceMs: number | undefined;
  inputsDone: number;
  /** Its node is being drained: it finishes what it has, and counts for nothing any more. */
  isLeaving: boolean;
  /** Nodes that refused it; not asked again before the time given. */
  readonly refusedUntilMs: Map<string, number>;
  /** Why it has no node, when it has none. */
  pendingReason: string | undefined;
}

/** Waiting containers that the pool is told of. */
const WAITING_MAX = 200;

export class ContainerTable {
  readonly #containers = new Map<string, ContainerRecord>();

  all(): readonly ContainerRecord[] {
    return [...this.#containers.values()];
  }

  get(containerId: string): ContainerRecord | undefined {
    return this.#containers.get(containerId);
  }

  ofFunction(functionId: string): readonly ContainerRecord[] {
    return this.all().filter((container) => container.live.functionId === functionId);
  }

  ofNode(nodeId: string): readonly ContainerRecord[] {
    return this.all().filter((container) => container.nodeId === nodeId);
  }

  /** Adds a container that still needs a node. */
  addPending(containerId: string, live: LiveFunction, nowMs: number): ContainerRecord {
    const record: ContainerRecord = {
      containerId,
      live,
      requestedAtMs: nowMs,
      state: "pending",
      nodeId: undefined,
      startedAtMs: undefined,
      readyAtMs: undefined,
      idleSinceMs: undefined,
      inputsDone: 0,
      isLeaving: false,
      refusedUntilMs: new Map(),
      pendingReason: undefined,
    };
    this.#containers.set(containerId, record);
    return record;
  }

  /** Forgets a container and gives it back; undefined when it was not here. */
  remove(containerId: string): ContainerRecord | undefined {
    const record = this.#containers.get(containerId);
    this.#containers.delete(containerId);
    return record;
  }

  /** What holds room on nodes, as the scheduler and the pool see it. */
  placed(): readonly PlacedContainer[] {
    return this.all().flatMap((container) => {
      if (container.nodeId === undefined) return [];
      return [
        {
          containerId: container.containerId,
          functionId: container.live.functionId,
          nodeId: container.nodeId,
          resources: resourcesOf(container.live.needs),
          needs: container.live.needs,
          ...(container.idleSinceMs === undefined ? {} : { idleSinceMs: container.idleSinceMs }),
        },
      ];
    });
  }

  /** Containers that nothing here can take, the first ones. */
  waiting(): readonly Pick<PlacedContainer, "containerId" | "resources" | "needs">[] {
    return this.all()
      .filter(({ nodeId, pendingReason }) => nodeId === undefined && pendingReason !== undefined)
      .slice(0, WAITING_MAX)
      .map(({ containerId, live: { needs } }) => {
        return { containerId, resources: resourcesOf(needs), needs };
      });
  }

  /** How many containers of equal needs there are, over those that `counts` accepts. */
  demand(
    counts: (container: ContainerRecord) => boolean,
  ): readonly { readonly needs: ContainerNeeds; readonly containerId: string }[] {
    return this.all()
      .filter(counts)
      .map(({ live, containerId }) => ({ needs: live.needs, containerId }));
  }
}
