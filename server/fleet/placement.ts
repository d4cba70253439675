/** Puts pending containers on nodes: asks the scheduler, tells the agents, remembers refusals. */
import type { Clock, ContainerRequest, Node, Rng } from "../../core/index.ts";
import { place } from "../../scheduler/index.ts";
import type { AgentHub } from "../agents/hub.ts";
import type { EventBus } from "../services.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import type { NodeTable } from "./node-table.ts";
import { startMessageOf } from "./start-message.ts";

export interface PlacementOptions {
  readonly containers: ContainerTable;
  readonly nodes: NodeTable;
  readonly hub: Pick<AgentHub, "link">;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly rng: Rng;
}

/** How long a node that refused a container is not asked for it again. */
const REFUSAL_MS = 5_000;

export class Placement {
  readonly #options: PlacementOptions;

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  /** Places what can be placed; the rest keeps its reason. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    const pending = this.#options.containers.all().filter(({ state }) => state === "pending");
    const [welcome, refused] = partition(pending, (one) => refusingNodes(one, nowMs).size === 0);
    this.#placeAll(welcome, new Set(), nowMs);
    // Those that a node has just refused are placed one by one, past that node.
    for (const one of refused) this.#placeAll([one], refusingNodes(one, nowMs), nowMs);
  }

  /** A node's agent would not take the container: it pends again, elsewhere for a while. */
  refused(container: ContainerRecord, reason: string): void {
    if (container.nodeId !== undefined) {
      const untilMs = this.#options.clock.nowMs() + REFUSAL_MS;
      container.refusedUntilMs.set(container.nodeId, untilMs);
    }
    container.state = "pending";
    container.nodeId = undefined;
    container.pendingReason = reason;
  }

  #placeAll(
    pending: readonly ContainerRecord[],
    without: ReadonlySet<string>,
    nowMs: number,
  ): void {
    if (pending.length === 0) return;
    const { containers, rng } = this.#options;
    const nodes = this.schedulableNodes().filter((node) => !without.has(node.nodeId));
    const { placements, refusals } = place(
      pending.map(requestOf),
      { nodes, containers: containers.placed() },
      { nowMs, rng: rng.fork(`place/${nowMs}`) },
    );
    for (const { containerId, nodeId, reason } of placements) {
      const container = containers.get(containerId);
      if (container !== undefined) this.#start(container, nodeId, reason, nowMs);
    }
    for (const { containerId, reason } of refusals) {
      const container = containers.get(containerId);
      if (container !== undefined) container.pendingReason = reason;
    }
  }

  /** The nodes that containers can be placed on. */
  schedulableNodes(): readonly Node[] {
    return this.#options.nodes
      .all()
      .filter((record) => record.connected)
      .map((record) => record.stored.node);
  }

  #start(container: ContainerRecord, nodeId: string, reason: string, nowMs: number): void {
    const link = this.#options.hub.link(nodeId);
    if (link === undefined) return;
    const { live, containerId } = container;
    container.state = "starting";
    container.nodeId = nodeId;
    container.startedAtMs = nowMs;
    container.pendingReason = undefined;
    live.pendingReason = undefined;
    link.send({ type: "start", container: startMessageOf(live, containerId) });
    const subject = { appId: live.appId, functionId: live.functionId, containerId, nodeId };
    this.#options.events.publish(subject, { kind: "container.placed", reason });
    this.#options.events.publish(subject, { kind: "container.starting" });
  }
}

function requestOf(container: ContainerRecord): ContainerRequest {
  return {
    containerId: container.containerId,
    functionId: container.live.functionId,
    needs: container.live.needs,
    requestedAtMs: container.requestedAtMs,
  };
}

/** Nodes that refused a container a moment ago. */
function refusingNodes(container: ContainerRecord, nowMs: number): ReadonlySet<string> {
  const refusing = [...container.refusedUntilMs].filter(([, untilMs]) => untilMs > nowMs);
  return new Set(refusing.map(([nodeId]) => nodeId));
}

function partition<Item>(
  items: readonly Item[],
  isFirst: (item: Item) => boolean,
): readonly [readonly Item[], readonly Item[]] {
  return [items.filter(isFirst), items.filter((item) => !isFirst(item))];
}
