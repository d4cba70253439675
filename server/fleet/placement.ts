/** Puts pending containers on nodes: asks the scheduler, tells the agents, remembers refusals. */
import type {
  Artifact,
  Clock,
  ContainerRequest,
  Node,
  Rng,
  SchedulerPolicy,
} from "../../core/index.ts";
import type { ChunkPeer, VolumeStart } from "../../sandbox/index.ts";
import type { SecretValues } from "../../sdk/protocol/index.ts";
import { place, Scheduler, type PlacementPlan } from "../../scheduler/index.ts";
import type { NodeLinks } from "../agents/hub.ts";
import type { LiveFunction } from "../calls/function-table.ts";
import type { EventBus } from "../services.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import type { ContainerUsage } from "./container-usage.ts";
import { withinQuotas } from "./quota-gate.ts";
import { snapshotIdOf } from "./snapshot-id.ts";
import { startMessageOf } from "./start-message.ts";

export interface PlacementOptions {
  readonly containers: ContainerTable;
  /** The nodes that containers can be placed on. */
  readonly schedulable: () => readonly Node[];
  readonly hub: NodeLinks;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly policy: SchedulerPolicy;
  /** The values of the secrets that a function names; asked only for one that does. */
  readonly secretsOf: (live: LiveFunction) => Promise<SecretValues>;
  /** The volumes of a container, as they are now; asked only for a function that has some. */
  readonly volumesOf: (live: LiveFunction, containerId: string) => Promise<readonly VolumeStart[]>;
  /** Other nodes that may have the files of a container's image, for a start on this node. */
  readonly peersOf: (live: LiveFunction, nodeId: string) => readonly ChunkPeer[];
  /** A container could not be started before its agent heard of it. */
  readonly onUnstartable: (container: ContainerRecord, error: unknown) => void;
  /** Keeps the quotas of workspaces; absent: there are none. */
  readonly usage?: ContainerUsage;
}

/** Who should end for whom, as far as that is not done yet. */
export type WantedEnds = Pick<PlacementPlan, "evictions" | "reservations">;

const NOTHING_WANTED: WantedEnds = { evictions: [], reservations: [] };

/** How long a node that refused a container is not asked for it again. */
const REFUSAL_MS = 5_000;
/** Sizes weigh what a container reads against each other: rather no code than no snapshot. */
const CODE_MIB = 1;
const SNAPSHOT_MIB = 50;

export class Placement {
  readonly #options: PlacementOptions;
  readonly #scheduler: Scheduler;

  constructor(options: PlacementOptions) {
    this.#options = options;
    this.#scheduler = new Scheduler({ policy: options.policy });
  }

  /** Places what can be placed; the rest keeps its reason. Gives who would have to end for it. */
  tick(): WantedEnds {
    const nowMs = this.#options.clock.nowMs();
    const { containers, rng, usage } = this.#options;
    const { admitted: pending, refused } = withinQuotas(containers.all(), usage);
    for (const { container, reason } of refused) this.#holdBack(container, reason);
    if (pending.length === 0) return NOTHING_WANTED;
    const { placements, refusals, ...wanted } = this.#scheduler.round(
      pending.map((one) => requestOf(one, nowMs)),
      { nodes: this.#options.schedulable(), containers: containers.placed() },
      { nowMs, rng: rng.fork(`place/${nowMs}`) },
    );
    for (const placed of placements) {
      const container = containers.get(placed.containerId);
      if (container !== undefined) this.#start(container, placed, nowMs);
    }
    for (const { containerId, reason, wantsRoom } of refusals) {
      const container = containers.get(containerId);
      if (container === undefined) continue;
      if (!wantsRoom) {
        this.#holdBack(container, reason);
        continue;
      }
      container.pendingReason = reason;
      container.wantsRoom = true;
    }
    return wanted;
  }

  /** No machine would help it. */
  #holdBack(container: ContainerRecord, reason: string): void {
    container.pendingReason = reason;
    container.wantsRoom = false;
    this.#explain(container.live, reason);
  }

  /** Starts a container on this very node; false when it has no room now or is not connected. */
  startOn(container: ContainerRecord, nodeId: string, why: string): boolean {
    const { containers, clock, rng, policy } = this.#options;
    const nowMs = clock.nowMs();
    const nodes = this.#options.schedulable().filter((node) => node.nodeId === nodeId);
    const there = containers.placed().filter((one) => one.nodeId === nodeId);
    const [placed] = place(
      [requestOf(container, nowMs)],
      { nodes, containers: there },
      { nowMs, rng, policy: { ...policy, quotas: {} } },
    ).placements;
    return placed !== undefined && this.#start(container, { ...placed, reason: why }, nowMs);
  }

  /** A node's agent would not take the container: it pends again, elsewhere for a while. */
  refused(container: ContainerRecord, reason: string): void {
    this.#options.usage?.refused(container);
    if (container.nodeId !== undefined) {
      const untilMs = this.#options.clock.nowMs() + REFUSAL_MS;
      container.refusedUntilMs.set(container.nodeId, untilMs);
    }
    unplace(container);
    container.pendingReason = reason;
    container.wantsRoom = true;
  }

  /** Its workspace has no room for it after all: another server took it. */
  #giveBack(container: ContainerRecord, reason: string): void {
    if (container.state === "stopping") {
      this.#options.containers.remove(container.containerId);
      return;
    }
    unplace(container);
    this.#holdBack(container, reason);
  }

  /** No machine is rented for such a one, so nobody else says why it waits. */
  #explain(live: LiveFunction, reason: string): void {
    if (live.pendingReason === reason) return;
    live.pendingReason = reason;
    const subject = { appId: live.appId, functionId: live.functionId };
    this.#options.events.publish(subject, { kind: "call.pending", reason });
  }

  #start(
    container: ContainerRecord,
    { nodeId, reason, cards }: PlacementPlan["placements"][number],
    nowMs: number,
  ): boolean {
    const link = this.#options.hub.link(nodeId);
    if (link === undefined) return false;
    const { live, containerId } = container;
    container.state = "starting";
    container.nodeId = nodeId;
    container.cards = cards;
    container.isOwed = false;
    container.startedAtMs = nowMs;
    container.pendingReason = undefined;
    live.pendingReason = undefined;
    const isPlain = live.spec.secrets.length + live.spec.volumes.length === 0;
    if (isPlain && this.#options.usage === undefined) {
      const peers = this.#options.peersOf(live, nodeId);
      const start = startMessageOf(live, containerId, { cards, peers });
      link.send({ type: "start", container: start }, [live.params]);
    } else void this.#startLater(container, nodeId, cards);
    const subject = { appId: live.appId, functionId: live.functionId, containerId, nodeId };
    this.#options.events.publish(subject, { kind: "container.placed", reason });
    this.#options.events.publish(subject, { kind: "container.starting" });
    return true;
  }

  /**
   * Secrets are read and quotas taken for each start, and volumes are as they are then; what has
   * become of the container meanwhile is heeded.
   */
  async #startLater(
    container: ContainerRecord,
    nodeId: string,
    cards: readonly number[],
  ): Promise<void> {
    const { containers, hub, secretsOf, volumesOf, onUnstartable, usage } = this.#options;
    const { live, containerId } = container;
    const isAwaited = (): boolean =>
      containers.get(containerId) === container && container.nodeId === nodeId;
    try {
      const refusal = await usage?.take(container);
      if (refusal !== undefined) {
        if (isAwaited()) this.#giveBack(container, refusal);
        return;
      }
      const secrets = live.spec.secrets.length === 0 ? {} : await secretsOf(live);
      const volumes = live.spec.volumes.length === 0 ? [] : await volumesOf(live, containerId);
      if (!isAwaited()) return;
      if (container.state === "starting") {
        const peers = this.#options.peersOf(live, nodeId);
        const start = startMessageOf(live, containerId, { cards, secrets, volumes, peers });
        // Without a link it is found missing when the agent is back.
        hub.link(nodeId)?.send({ type: "start", container: start }, [live.params]);
        return;
      }
      // It was told to stop, and the agent, which knows none such, will never say that it has.
      if (container.state === "stopping") containers.remove(containerId);
    } catch (error) {
      if (isAwaited()) onUnstartable(container, error);
    }
  }
}

/** It pends again. */
function unplace(container: ContainerRecord): void {
  container.state = "pending";
  container.nodeId = undefined;
  container.cards = undefined;
}

/** What a container asks of the scheduler. */
export function requestOf(container: ContainerRecord, nowMs: number): ContainerRequest {
  const excludedNodeIds = refusingNodes(container, nowMs);
  return {
    containerId: container.containerId,
    functionId: container.live.functionId,
    needs: container.live.needs,
    requestedAtMs: container.requestedAtMs,
    workspaceId: container.live.workspaceId,
    priority: container.live.spec.priority,
    artifacts: artifactsOf(container.live),
    ...(container.isOwed ? { isOwed: true } : {}),
    // It then draws among several nodes, so that not all that were refused go for the next one.
    ...(excludedNodeIds.length === 0
      ? {}
      : { excludedNodeIds, refusalCount: excludedNodeIds.length }),
  };
}

/** What a start reads, and some nodes have already. */
function artifactsOf(live: ContainerRecord["live"]): readonly Artifact[] {
  const code = { contentHash: live.codeSha256, sizeMiB: CODE_MIB };
  const snapshotId = snapshotIdOf(live);
  if (snapshotId === undefined) return [code];
  return [code, { contentHash: snapshotId, sizeMiB: SNAPSHOT_MIB }];
}

/** Nodes that refused a container a moment ago. */
function refusingNodes(container: ContainerRecord, nowMs: number): readonly string[] {
  const refusing = [...container.refusedUntilMs].filter(([, untilMs]) => untilMs > nowMs);
  return refusing.map(([nodeId]) => nodeId);
}
