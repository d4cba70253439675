/**
 * A scheduler that lives: rounds over a fleet that changes little from one to the next.
 *
 * It keeps the index, the rankings and what it has learned of the demand between rounds, takes
 * over what has changed in the snapshot, and then decides as `place` does with equal
 * knowledge. O(nodes + containers) to find the changes, then as much as there is to decide.
 * Cards of containers that it placed are remembered while the snapshot does not say.
 */
import {
  DEFAULT_SCHEDULER_POLICY,
  type ContainerRequest,
  type Node,
  type Rng,
  type SchedulerPolicy,
} from "../core/index.ts";
import { DemandHistory, type DemandHistoryState, type DemandMix } from "./demand.ts";
import { ClassTable } from "./fleet/class-table.ts";
import { FleetIndex, type Residence } from "./fleet/fleet-index.ts";
import { layOut } from "./fleet/lay-out.ts";
import { gpuCapacityOf } from "./place.ts";
import type { FleetSnapshot, PlacementPlan } from "./plan.ts";
import { Ranker } from "./ranker.ts";
import { runRound } from "./round.ts";
import { strategyOf } from "./strategies/registry.ts";

/**
 * Containers whose arrival is remembered so that waiting does not count as arriving again; or twice
 * as many as wait, if that is more. So many of before them are remembered as well.
 */
const SEEN_COUNT_MAX = 2_000;

export interface SchedulerOptions {
  /** Absent means the default policy. */
  readonly policy?: SchedulerPolicy;
  /** What comes how often; absent means that it is learned from the requests. */
  readonly demand?: DemandMix;
}

/** A scheduler that was written down: what it knows, without what it can work out. Plain data. */
export interface SchedulerState {
  readonly history: DemandHistoryState;
  readonly seen: Set<string>;
  readonly seenBefore: Set<string>;
  readonly nodeList: readonly Node[];
  readonly residences: readonly (readonly [string, Residence])[];
  /** What its scores rest on. */
  readonly mix: DemandMix;
}

export class Scheduler {
  readonly #policy: SchedulerPolicy;
  readonly #demand: DemandMix | undefined;
  readonly #classes = new ClassTable();
  readonly #history = new DemandHistory();
  #seen = new Set<string>();
  #seenBefore = new Set<string>();
  #nodes: ReadonlyMap<string, Node> = new Map();
  /** The list that `#nodes` was made of. */
  #nodeList: readonly Node[] = [];
  #index = new FleetIndex([], []);
  #ranker: Ranker;
  #mix: DemandMix = [];

  constructor({ policy = DEFAULT_SCHEDULER_POLICY, demand }: SchedulerOptions = {}) {
    this.#policy = policy;
    this.#demand = demand;
    this.#ranker = new Ranker({ index: this.#index, strategy: this.#strategy([]) });
  }

  /** Entries held in caches, states and containers remembered: they follow the fleet, not time. */
  get sizes(): { readonly entries: number; readonly states: number; readonly seen: number } {
    const seen = this.#seen.size + this.#seenBefore.size;
    return { entries: this.#ranker.entryCount, states: this.#index.stateCount, seen };
  }

  /** One round. What it places is taken to be on its node until a snapshot says otherwise. */
  round(
    requests: readonly ContainerRequest[],
    fleet: FleetSnapshot,
    now: { readonly nowMs: number; readonly rng: Rng },
  ): PlacementPlan {
    const isOther = this.#takeOver(fleet);
    const isDue = this.#demand === undefined && this.#learn(requests);
    if (isDue || isOther) this.#ranker.use(this.#strategy(fleet.nodes));
    const { nowMs, rng } = now;
    const context = { index: this.#index, ranker: this.#ranker, classes: this.#classes };
    return runRound(requests, fleet, { ...context, policy: this.#policy, nowMs, rng });
  }

  /** What it knows, by reference. */
  save(): SchedulerState {
    return {
      history: this.#history.save(),
      seen: this.#seen,
      seenBefore: this.#seenBefore,
      nodeList: this.#nodeList,
      residences: [...this.#index.residences()],
      mix: this.#mix,
    };
  }

  /** Knows what another one knew, and decides as that one would have. */
  resume({ history, seen, seenBefore, nodeList, residences, mix }: SchedulerState): void {
    this.#history.resume(history);
    this.#seen = seen;
    this.#seenBefore = seenBefore;
    this.#nodeList = nodeList;
    this.#nodes = new Map(nodeList.map((node) => [node.nodeId, node]));
    this.#index = new FleetIndex(nodeList, []);
    for (const [containerId, residence] of residences) this.#index.admit(containerId, residence);
    this.#ranker = new Ranker({ index: this.#index, strategy: this.#strategy(nodeList, mix) });
  }

  #strategy(
    nodes: readonly Node[],
    mix: DemandMix = this.#demand ?? this.#history.mix(),
  ): ReturnType<typeof strategyOf> {
    this.#mix = mix;
    const knowledge = { mix, gpuCapacity: gpuCapacityOf(nodes) };
    return strategyOf(this.#policy.strategy, knowledge);
  }

  /** Returns whether it is time to use what has been learned. */
  #learn(requests: readonly ContainerRequest[]): boolean {
    if (this.#seen.size > Math.max(SEEN_COUNT_MAX, 2 * requests.length)) {
      this.#seenBefore = this.#seen;
      this.#seen = new Set();
    }
    for (const { containerId, needs } of requests) {
      if (this.#seen.has(containerId)) continue;
      this.#seen.add(containerId);
      if (this.#seenBefore.has(containerId)) continue;
      this.#history.observe(this.#classes.of(needs));
    }
    return this.#history.isDue();
  }

  /** Makes the index equal to the snapshot. Returns whether nodes came or went. */
  #takeOver({ nodes, containers }: FleetSnapshot): boolean {
    if (nodes === this.#nodeList) {
      this.#admit(this.#dismissMissing(containers));
      return false;
    }
    this.#nodeList = nodes;
    const present = new Map(nodes.map((node) => [node.nodeId, node]));
    const gone = [...this.#nodes.keys()].filter((nodeId) => !present.has(nodeId));
    for (const nodeId of gone) this.#index.removeNode(nodeId);
    const added: Node[] = [];
    let changed = gone.length > 0;
    for (const node of nodes) {
      const known = this.#nodes.get(node.nodeId);
      if (known === node) continue;
      changed = true;
      if (known === undefined) added.push(node);
      else if (hasOtherGpus(known, node)) {
        this.#index.removeNode(node.nodeId);
        added.push(node);
      } else this.#index.updateNode(node);
    }
    this.#nodes = present;
    const unseen = this.#dismissMissing(containers);
    const freshIds = new Set(added.map(({ nodeId }) => nodeId));
    if (added.length > 0)
      this.#index.addNodes(
        added,
        containers.filter((one) => freshIds.has(one.nodeId)),
      );
    this.#admit(unseen);
    if (changed) this.#ranker.forgetNodes();
    return gone.length + added.length > 0;
  }

  /** Dismisses containers that are gone or elsewhere; gives those to admit. */
  #dismissMissing(containers: FleetSnapshot["containers"]): FleetSnapshot["containers"] {
    const fresh = containers.filter(
      ({ containerId, nodeId }) => this.#index.residence(containerId)?.nodeId !== nodeId,
    );
    if (containers.length - fresh.length === this.#index.residenceCount) return fresh;
    const homes = new Map(containers.map((one) => [one.containerId, one.nodeId]));
    for (const [containerId, { nodeId }] of [...this.#index.residences()]) {
      if (homes.get(containerId) !== nodeId) this.#index.dismiss(containerId);
    }
    return fresh;
  }

  #admit(containers: FleetSnapshot["containers"]): void {
    const fresh = containers.filter(
      ({ containerId, nodeId }) =>
        this.#nodes.has(nodeId) && this.#index.residence(containerId) === undefined,
    );
    for (const [nodeId, own] of Map.groupBy(fresh, (one) => one.nodeId)) {
      const cards = this.#index.node(nodeId)?.cards ?? [];
      for (const { containerId, taken } of layOut(cards, own)) {
        this.#index.admit(containerId, { nodeId, taken });
      }
    }
  }
}

function hasOtherGpus(one: Node, other: Node): boolean {
  return Math.floor(one.resources.gpuCount) !== Math.floor(other.resources.gpuCount);
}
