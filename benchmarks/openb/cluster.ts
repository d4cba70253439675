/** A fleet under one strategy, as the replays drive it: what fits is placed, the rest dropped. */
import type { Node, StrategyName } from "../../core/index.ts";
import { DemandHistory, demandMixOf, type DemandMix } from "../../scheduler/demand.ts";
import { ClassTable } from "../../scheduler/fleet/class-table.ts";
import { FleetIndex } from "../../scheduler/fleet/fleet-index.ts";
import type { RequestClass } from "../../scheduler/fleet/request-class.ts";
import { gpuCapacityOf } from "../../scheduler/place.ts";
import { Ranker } from "../../scheduler/ranker.ts";
import { strategyOf } from "../../scheduler/strategies/registry.ts";
import type { Pod } from "./trace.ts";

export interface ClusterOptions {
  readonly nodes: readonly Node[];
  readonly strategy: StrategyName;
  /** What the strategy knows of the demand; absent means that it learns as pods arrive. */
  readonly mix?: DemandMix;
}

export class Cluster {
  readonly index: FleetIndex;
  #ranker: Ranker;
  readonly classes = new ClassTable();
  readonly #options: ClusterOptions;
  readonly #history: DemandHistory | undefined;
  #placedCount = 0;

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.index = new FleetIndex(options.nodes, []);
    const { mix } = options;
    this.#history = mix === undefined ? new DemandHistory() : undefined;
    this.#ranker = new Ranker({ index: this.index, strategy: this.#strategy(mix ?? []) });
  }

  get ranker(): Ranker {
    return this.#ranker;
  }

  /** From now on scores every node for every pod. */
  searchFully(): void {
    const strategy = this.#strategy(this.#history?.mix() ?? this.#options.mix ?? []);
    this.#ranker = new Ranker({ index: this.index, strategy, search: "full" });
  }

  /** Places the pod and gives its id, or `undefined` when it fits nowhere. */
  place(pod: Pod): string | undefined {
    const request = this.classes.of(pod.needs);
    this.#learn(request);
    const best = this.#ranker.best({ request });
    if (best === undefined) return undefined;
    this.#placedCount += 1;
    const podId = String(this.#placedCount);
    const taken = this.#ranker.takenBy(request, best);
    this.index.admit(podId, { nodeId: best.node.node.nodeId, taken });
    return podId;
  }

  #learn(request: RequestClass): void {
    if (this.#history === undefined) return;
    this.#history.observe(request);
    if (this.#history.isDue()) this.#ranker.use(this.#strategy(this.#history.mix()));
  }

  #strategy(mix: DemandMix): ReturnType<typeof strategyOf> {
    const gpuCapacity = gpuCapacityOf(this.#options.nodes);
    return strategyOf(this.#options.strategy, { mix, gpuCapacity });
  }
}

/** The mix that the pods have, each counted with its weight. */
export function mixOf(pods: readonly Pod[], weightOf: (pod: Pod) => number): DemandMix {
  const classes = new ClassTable();
  const counts = new Map<RequestClass, number>();
  for (const pod of pods) {
    const request = classes.of(pod.needs);
    counts.set(request, (counts.get(request) ?? 0) + weightOf(pod));
  }
  return demandMixOf(counts);
}
