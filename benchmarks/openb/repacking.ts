/**
 * A cluster that may move running pods: it consolidates as it fills up, and makes room when a
 * pod finds none. A pod that fits is never turned away.
 */
import { consolidate } from "../../scheduler/repack/consolidate.ts";
import {
  makeRoom,
  type Movable,
  type RepackContext,
  type Step,
} from "../../scheduler/repack/make-room.ts";
import { Cluster, type ClusterOptions } from "./cluster.ts";
import type { Pod } from "./trace.ts";

/** What one pod without room may cause. */
const BUDGET = { moveCountMax: 8, gpuCountMax: 8 } as const;
/** Placements after which a class that no moves helped is tried again. */
const RETRY_AFTER = 100;
/** Passes begin at this part of all GPUs allocated, and come every so many placements. */
const CONSOLIDATE_FROM = 0.9;
const CONSOLIDATE_EVERY = 50;
/** What one pass may cost; a move must be worth 0.02 GPU. */
const CONSOLIDATION = {
  budget: { moveCountMax: 200, gpuCountMax: 100 },
  gainMin: 0.02,
} as const;

export class RepackingCluster {
  readonly cluster: Cluster;
  readonly #gpuMilli: number;
  readonly #on = new Map<string, Map<string, Movable>>();
  readonly #hopeless = new Map<string, number>();
  readonly #context: RepackContext;
  #allocatedMilli = 0;
  #consolidateAt = 0;
  moveCount = 0;
  placedCount = 0;

  constructor(options: ClusterOptions) {
    this.cluster = new Cluster(options);
    const gpus = options.nodes.reduce((sum, { resources }) => sum + resources.gpuCount, 0);
    this.#gpuMilli = 1_000 * gpus;
    const { index, ranker } = this.cluster;
    this.#context = {
      index,
      ranker,
      movableOn: (nodeId) => [...(this.#on.get(nodeId)?.values() ?? [])],
    };
  }

  place(pod: Pod): boolean {
    this.#consolidateIfDue();
    const podId = this.cluster.place(pod) ?? this.#placeAfterMoves(pod);
    if (podId === undefined) return false;
    this.placedCount += 1;
    this.#allocatedMilli += pod.gpuMilli;
    const nodeId = this.cluster.index.residence(podId)?.nodeId ?? "";
    this.#settle(nodeId, { containerId: podId, request: this.cluster.classes.of(pod.needs) });
    return true;
  }

  #consolidateIfDue(): void {
    if (this.#allocatedMilli < CONSOLIDATE_FROM * this.#gpuMilli) return;
    if (this.placedCount < this.#consolidateAt) return;
    this.#consolidateAt = this.placedCount + CONSOLIDATE_EVERY;
    this.#note(consolidate(this.#context, CONSOLIDATION));
  }

  #placeAfterMoves(pod: Pod): string | undefined {
    const request = this.cluster.classes.of(pod.needs);
    if (this.placedCount < (this.#hopeless.get(request.key) ?? 0)) return undefined;
    const steps = makeRoom(request, this.#context, BUDGET);
    if (steps === undefined) {
      this.#hopeless.set(request.key, this.placedCount + RETRY_AFTER);
      return undefined;
    }
    this.#note(steps);
    return this.cluster.place(pod);
  }

  #note(steps: readonly Step[]): void {
    this.moveCount += steps.length;
    for (const { containerId, fromNodeId, toNodeId } of steps) {
      const movable = this.#on.get(fromNodeId)?.get(containerId);
      this.#on.get(fromNodeId)?.delete(containerId);
      if (movable !== undefined) this.#settle(toNodeId, movable);
    }
  }

  #settle(nodeId: string, movable: Movable): void {
    const on = this.#on.get(nodeId) ?? new Map<string, Movable>();
    this.#on.set(nodeId, on.set(movable.containerId, movable));
  }
}
