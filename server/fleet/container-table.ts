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
  /** Its end takes time: it has exit hooks, or volumes to commit. */
  endsSlowly: boolean;
  /** Cards of its node that it sits on; undefined while nobody has said. */
  cards: readonly number[] | undefined;
  /** Others were ended for it, and it has not got their room yet. */
  isOwed: boolean;
  /** The container that takes its place on another node, while that is under way. */
  replacedBy: string | undefined;
  /** Nodes that refused it; not asked again before the time given. */
  readonly refusedUntilMs: Map<string, number>;
  /** Why it has no node, when it has none. */
  pendingReason: string | undefined;
  /** Whether more room would help it, when it has no node; not so where a quota binds. */
  wantsRoom: boolean;
}

/** Waiting containers that the pool is told of. */
const WAITING_MAX = 200;

export class ContainerTable {
  readonly #containers = new Map<string, ContainerRecord>();
  readonly #onRemoved: (container: ContainerRecord) => void;

  /** @param onRemoved A container is forgotten: it never had a node, or is gone. */
  constructor(onRemoved: (container: ContainerRecord) => void = () => undefined) {
    this.#onRemoved = onRemoved;
  }

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
      endsSlowly: false,
      cards: undefined,
      isOwed: false,
      replacedBy: undefined,
      refusedUntilMs: new Map(),
      pendingReason: undefined,
      wantsRoom: true,
    };
    this.#containers.set(containerId, record);
    return record;
  }

  /** Forgets a container and gives it back; undefined when it was not here. */
  remove(containerId: string): ContainerRecord | undefined {
    const record = this.#containers.get(containerId);
    this.#containers.delete(containerId);
    if (record !== undefined) this.#onRemoved(record);
    return record;
  }

  /** What holds room on nodes, as the scheduler and the pool see it. */
  placed(): readonly PlacedContainer[] {
    return this.all().flatMap((container) => {
      const { nodeId } = container;
      return nodeId === undefined ? [] : [placedOf(container, nodeId)];
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

/** A container on its node, as the scheduler sees it. */
export function placedOf(
  { containerId, live, state, idleSinceMs, cards }: ContainerRecord,
  nodeId: string,
): PlacedContainer {
  return {
    containerId,
    functionId: live.functionId,
    nodeId,
    resources: resourcesOf(live.needs),
    needs: live.needs,
    workspaceId: live.workspaceId,
    priority: live.spec.priority,
    evictable: live.needs.preemptible,
    ...(state === "stopping" ? { ending: true } : {}),
    ...(cards === undefined ? {} : { cards }),
    ...(idleSinceMs === undefined ? {} : { idleSinceMs }),
  };
}

/** What an event about a container is about. */
export function subjectOf(container: ContainerRecord): {
  appId: string;
  functionId: string;
  containerId: string;
  nodeId?: string;
} {
  const { live, containerId, nodeId } = container;
  return {
    appId: live.appId,
    functionId: live.functionId,
    containerId,
    ...(nodeId === undefined ? {} : { nodeId }),
  };
}
