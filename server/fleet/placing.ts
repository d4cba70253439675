/**
 * The round that puts containers on nodes: load becomes wanted containers, wanted containers get
 * nodes, and what is in the way of more important ones ends.
 *
 * It observes, asks the deciding functions and applies; the parts that it ties together share one
 * table of containers. Everything outside (agents' links, events, time) is handed in, so that a
 * test runs the same round with agents of its own.
 */
import type { Clock, IdSource, Rng, SchedulerPolicy } from "../../core/index.ts";
import type { NodeLinks } from "../agents/hub.ts";
import type { FunctionTable } from "../calls/function-table.ts";
import type { EventBus } from "../services.ts";
import { Autoscaling } from "./autoscaling.ts";
import { ContainerDesk, noteIdle, type ContainerDeskOptions } from "./container-desk.ts";
import type { ContainerTable } from "./container-table.ts";
import { EvictionRound } from "./eviction.ts";
import type { NodeTable } from "./node-table.ts";
import { Placement } from "./placement.ts";
import { preempt } from "./preemption.ts";

export interface PlacingOptions extends Pick<
  ContainerDeskOptions,
  "loadHeld" | "onColdStart" | "onLoadChanged" | "onError"
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
}

export class Placing {
  /** What agents say about containers, and stopping them. */
  readonly desk: ContainerDesk;
  readonly #options: PlacingOptions;
  readonly #autoscaling: Autoscaling;
  readonly #placement: Placement;
  readonly #eviction: EvictionRound;
  readonly #stop: ContainerDesk["stop"];

  constructor(options: PlacingOptions) {
    this.#options = options;
    this.#stop = (container, reason) => this.desk.stop(container, reason);
    this.#placement = new Placement(options);
    this.desk = new ContainerDesk({ ...options, placement: this.#placement });
    this.#autoscaling = new Autoscaling({ ...options, stop: this.#stop });
    this.#eviction = new EvictionRound({
      ...options,
      nodes: () => options.nodes.schedulable(),
      stop: this.#stop,
    });
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
    await this.#autoscaling.tick();
    const before = this.#pendingReasons();
    const wanted = this.#placement.tick();
    const helpedIds = this.#eviction.tick();
    preempt(wanted, helpedIds, { containers, stop: this.#stop });
    for (const live of functions.all()) live.dispatcher.pump();
    return this.#pendingReasons() !== before;
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
