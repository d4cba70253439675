/**
 * The round that puts containers on nodes: load becomes wanted containers, wanted containers get
 * nodes, and what is in the way of more important ones ends.
 *
 * It observes, asks the deciding functions and applies; the parts that it ties together share one
 * table of containers. Everything outside (agents' links, events, time) is handed in, so that a
 * test runs the same round with agents of its own.
 */
import type { Clock, IdSource, Node, Rng, SchedulerPolicy } from "../../core/index.ts";
import type { ChunkPeer, VolumeStart } from "../../sandbox/index.ts";
import type { SecretValues } from "../../sdk/protocol/index.ts";
import type { NodeLinks } from "../agents/hub.ts";
import type { FunctionTable, LiveFunction } from "../calls/function-table.ts";
import type { EventBus } from "../services.ts";
import { Autoscaling } from "./autoscaling.ts";
import { chunkPeersOf } from "./chunk-peers.ts";
import { ContainerDesk, noteIdle, type ContainerDeskOptions } from "./container-desk.ts";
import type { ContainerRecord, ContainerTable } from "./container-table.ts";
import { Expectations } from "./expectations.ts";
import { EvictionRound, waitingIn } from "./eviction.ts";
import { Leaving } from "./leaving.ts";
import type { NodeTable } from "./node-table.ts";
import { Placement } from "./placement.ts";
import { preempt } from "./preemption.ts";
import { surplusNodeIds, type DesiredLine } from "./repack-goal.ts";
import { Repacking } from "./repacking.ts";

export interface PlacingOptions extends Pick<
  ContainerDeskOptions,
  "loadHeld" | "onYielded" | "streams" | "onColdStart" | "onLoadChanged" | "onError" | "usage"
> {
  readonly functions: FunctionTable;
  readonly containers: ContainerTable;
  readonly nodes: NodeTable;
  readonly hub: NodeLinks;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly rng: Rng;
  readonly policy: SchedulerPolicy;
  /** What the fleet should be by the latest plan; undefined until there is one. */
  readonly desired: () => readonly DesiredLine[] | undefined;
  /** When the pool releases a draining node at the latest; absent: nobody says. */
  readonly releaseByMs?: (nodeId: string) => number | undefined;
  /** The values of the secrets that a function names; absent: none does. */
  readonly secretsOf?: (live: LiveFunction) => Promise<SecretValues>;
  /** Known to this platform alone; absent: nodes ask each other for nothing. */
  readonly key?: Uint8Array;
  /** The volumes of a container; absent: it has none. */
  readonly volumesOf?: (live: LiveFunction, containerId: string) => Promise<readonly VolumeStart[]>;
}

export class Placing {
  /** What agents say about containers, and stopping them. */
  readonly desk: ContainerDesk;
  readonly #options: PlacingOptions;
  readonly #autoscaling: Autoscaling;
  readonly #placement: Placement;
  readonly #eviction: EvictionRound;
  readonly #repacking: Repacking;
  readonly #leaving: Leaving<ContainerRecord>;
  readonly #expectations: Expectations;
  readonly #cordoned = new WeakMap<Node, Node>();
  readonly #stop: ContainerDesk["stop"];

  constructor(options: PlacingOptions) {
    this.#options = options;
    this.#stop = (...how) => this.desk.stop(...how);
    const schedulable = (): readonly Node[] => this.#schedulable();
    this.#placement = new Placement({
      ...options,
      schedulable,
      secretsOf: options.secretsOf ?? (() => Promise.resolve({})),
      volumesOf: options.volumesOf ?? (() => Promise.resolve([])),
      peersOf: (live, nodeId) => this.#peersOf(live, nodeId),
      onUnstartable: (container, error) => this.desk.startImpossible(container, error),
    });
    this.desk = new ContainerDesk({ ...options, placement: this.#placement });
    this.#autoscaling = new Autoscaling({ ...options, stop: this.#stop });
    this.#expectations = new Expectations({ hub: options.hub });
    this.#eviction = new EvictionRound({
      ...options,
      nodes: schedulable,
      stop: this.#stop,
    });
    this.#leaving = new Leaving({
      containers: () => options.containers.all(),
      nodeOf: (nodeId) => options.nodes.get(nodeId)?.stored.node,
      releaseByMs: options.releaseByMs ?? (() => undefined),
      reasonOf: ({ live }) => options.usage?.spendingRefusal(live.workspaceId),
      stop: this.#stop,
    });
    this.#repacking = new Repacking({
      ...options,
      nodes: schedulable,
      placement: this.#placement,
      stop: this.#stop,
      waiting: (nowMs) => this.#waiting(nowMs),
      surplusNodeIds: () => this.#surplusNodeIds(),
    });
  }

  #peersOf({ image }: LiveFunction, nodeId: string): readonly ChunkPeer[] {
    const { key, clock } = this.#options;
    if (key === undefined) return [];
    const start = { contentId: image?.contentId, nodeId, nowMs: clock.nowMs() };
    return chunkPeersOf(start, { ...this.#options, key });
  }

  /**
   * One round over everything.
   *
   * @returns whether what waits for a node, or why, has changed.
   */
  async tick(): Promise<boolean> {
    const { containers, functions, clock } = this.#options;
    const nowMs = clock.nowMs();
    for (const container of containers.all()) noteIdle(container, nowMs);
    this.#leaving.tick(nowMs);
    this.#repacking.tick();
    await this.#autoscaling.tick();
    const before = this.#pendingReasons();
    const wanted = this.#placement.tick();
    const helpedIds = this.#eviction.tick();
    preempt(wanted, helpedIds, { containers, stop: this.#stop });
    this.#awaitRepacking();
    this.#expectations.tell(this.#autoscaling.soon, this.#schedulable(), nowMs);
    for (const live of functions.all()) live.dispatcher.pump();
    return this.#pendingReasons() !== before;
  }

  /** The workspaces whose containers run on a node in this image, or are expected there soon. */
  workspacesOn(nodeId: string, contentId: string): readonly string[] {
    const running = this.#options.containers
      .ofNode(nodeId)
      .map(({ live }) => ({ workspaceId: live.workspaceId, contentId: live.image?.contentId }));
    const both = [...running, ...this.#expectations.of(nodeId)];
    const own = both.filter((one) => one.contentId === contentId);
    return [...new Set(own.flatMap(({ workspaceId }) => workspaceId ?? []))];
  }

  /** The one for whom containers move waits for that, and asks for no machine meanwhile. */
  #awaitRepacking(): void {
    const waiting = this.#options.containers.get(this.#repacking.forContainerId ?? "");
    if (waiting?.state === "pending") waiting.pendingReason = undefined;
  }

  /** Connected nodes; those that are being emptied take nothing new. */
  #schedulable(): readonly Node[] {
    const held = this.#repacking.heldNodeIds;
    const nodes = this.#options.nodes.schedulable();
    if (held.size === 0) return nodes;
    return nodes.map((node) => (held.has(node.nodeId) ? this.#cordonedOf(node) : node));
  }

  /** The same object for the same node, so that the scheduler sees no change where none is. */
  #cordonedOf(node: Node): Node {
    const known = this.#cordoned.get(node);
    if (known !== undefined || node.state !== "healthy") return known ?? node;
    const cordoned: Node = { ...node, state: "cordoned" };
    this.#cordoned.set(node, cordoned);
    return cordoned;
  }

  #waiting(nowMs: number): readonly ContainerRecord[] {
    return waitingIn(this.#options.containers.all(), nowMs)
      .filter(({ isOwed }) => !isOwed)
      .toSorted((a, b) => a.requestedAtMs - b.requestedAtMs);
  }

  #surplusNodeIds(): ReadonlySet<string> {
    const { nodes, containers, desired } = this.#options;
    const used = new Set(containers.placed().map(({ nodeId }) => nodeId));
    return surplusNodeIds(nodes.schedulable(), desired(), (nodeId) => !used.has(nodeId));
  }

  /** Changes when a container begins or ceases to wait, or waits for another reason. */
  #pendingReasons(): string {
    return this.#options.containers
      .all()
      .filter((container) => container.state === "pending")
      .map(({ containerId, pendingReason }) => `${containerId}=${pendingReason ?? ""}`)
      .join(";");
  }
}
