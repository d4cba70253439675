/** Puts pending containers on nodes: asks the scheduler, tells the agents, remembers refusals. */
import type { Clock, ContainerRequest, Node, Rng } from "../../core/index.ts";
import { Scheduler } from "../../scheduler/index.ts";
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
  readonly #scheduler = new Scheduler();

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  /** Places what can be placed; the rest keeps its reason. */
  tick(): void {
    const nowMs = this.#options.clock.nowMs();
    const pending = this.#options.containers.all().filter(({ state }) => state === "pending");
    if (pending.length === 0) return;
    const { containers, rng } = this.#options;
    const { placements, refusals } = this.#scheduler.round(
      pending.map((one) => requestOf(one, nowMs)),
      { nodes: this.schedulableNodes(), containers: containers.placed() },
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

function requestOf(container: ContainerRecord, nowMs: number): ContainerRequest {
  const excludedNodeIds = refusingNodes(container, nowMs);
  return {
    containerId: container.containerId,
    functionId: container.live.functionId,
    needs: container.live.needs,
    requestedAtMs: container.requestedAtMs,
    // It then draws among several nodes, so that not all that were refused go for the next one.
    ...(excludedNodeIds.length === 0
      ? {}
      : { excludedNodeIds, refusalCount: excludedNodeIds.length }),
  };
}

/** Nodes that refused a container a moment ago. */
function refusingNodes(container: ContainerRecord, nowMs: number): readonly string[] {
  const refusing = [...container.refusedUntilMs].filter(([, untilMs]) => untilMs > nowMs);
  return refusing.map(([nodeId]) => nodeId);
}
