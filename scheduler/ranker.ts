/**
 * Ranker: the best node for one request, by the index or by looking at every node.
 *
 *     total(node) = step * SPAN + penalty(state) + cold * coldPenalty
 *
 * with the step down the request's list of GPU types, the strategy's penalty, and the part of
 * what the container will read that the node does not hold. The smallest total wins, then the
 * smallest node id. Both ways to look compute equal totals and give equal nodes; a test holds
 * that.
 *
 * By the index, states come best first, so the search ends at the first node that takes the
 * container: O(log states) but for states new to the class. Nodes that hold something the
 * container reads can only be better than their state says and are looked at one by one.
 */
import { assert, type Artifact, type Rng } from "../core/index.ts";
import { failedProfileStage, hasRoom } from "./feasibility.ts";
import type { FleetIndex, IndexedNode } from "./fleet/fleet-index.ts";
import type { Taken } from "./fleet/lay-out.ts";
import type { NodeState } from "./fleet/node-state.ts";
import { Ranking } from "./fleet/ranking.ts";
import { CARD, type RequestClass } from "./fleet/request-class.ts";
import { PENALTY_MAX, type Strategy } from "./strategies/strategy.ts";

/** A request and what else decides where it may and should go. */
export interface Ask {
  readonly request: RequestClass;
  /** Whether a node may be used, beyond what its state says; absent means every one. */
  readonly accepts?: (node: IndexedNode) => boolean;
  /** What the container will read. */
  readonly artifacts?: readonly Artifact[];
  /** Draws among that many nodes that come first instead of taking the first. */
  readonly drawAmong?: { readonly count: number; readonly rng: Rng };
}

/** A node that takes the request. */
export interface Candidate {
  readonly node: IndexedNode;
  readonly state: NodeState;
  readonly total: number;
}

export interface RankerOptions {
  readonly index: FleetIndex;
  readonly strategy: Strategy;
  /** `full` looks at every node; for comparison. */
  readonly search?: "index" | "full";
}

/** More than any penalty, locality included, so that one step down a list outweighs it. */
const SPAN = 4 * PENALTY_MAX;
/** Classes whose rankings are kept, and entries over all of them; the oldest go first. */
const RANKING_COUNT_MAX = 2_048;
const ENTRY_COUNT_MAX = 8_000_000;

export class Ranker {
  readonly #index: FleetIndex;
  readonly #search: "index" | "full";
  #strategy: Strategy;
  /** The ranking used last is the last. */
  readonly #rankings = new Map<string, Ranking>();
  /** Nodes by what they hold; built when a request first asks. */
  #holders: ReadonlyMap<string, readonly IndexedNode[]> | undefined;
  #scoredCount = 0;

  constructor({ index, strategy, search = "index" }: RankerOptions) {
    this.#index = index;
    this.#strategy = strategy;
    this.#search = search;
  }

  /** Penalties computed so far. */
  get scoredCount(): number {
    return this.#scoredCount;
  }

  /** Entries held in caches. */
  get entryCount(): number {
    return [...this.#rankings.values()].reduce((sum, ranking) => sum + ranking.size, 0);
  }

  /** From now on scores by another strategy, or by the same one with newer knowledge. */
  use(strategy: Strategy): void {
    this.#strategy = strategy;
    this.#rankings.clear();
  }

  /** Nodes have been added, removed or changed. */
  forgetNodes(): void {
    this.#holders = undefined;
  }

  /** The best node, or `undefined` when none takes the request. */
  best(ask: Ask): Candidate | undefined {
    if (ask.drawAmong !== undefined) return this.#drawn(ask, ask.drawAmong);
    if (this.#search === "full") return this.#bestOfAll(ask);
    return this.#bestHolder(ask, this.#firstByIndex(ask));
  }

  /** The total of one node, or `undefined` when the request does not fit there. */
  totalOn(request: RequestClass, node: IndexedNode): number | undefined {
    return node.state && this.#penaltyOf(request, node.state);
  }

  /** What the request takes on a node that was chosen for it. */
  takenBy(request: RequestClass, { node, state }: Pick<Candidate, "node" | "state">): Taken {
    const { cpuMilli, memoryMiB, diskMiB, share, cardCount } = request;
    const amounts = { cpuMilli, memoryMiB, diskMiB };
    if (share > 0) {
      const free = state.cards[this.#strategy.cardFor(request, state)] ?? CARD;
      return { ...amounts, perCard: share, cards: [node.cards.indexOf(free)] };
    }
    if (cardCount === 0) return { ...amounts, perCard: 0, cards: [] };
    const cards: number[] = [];
    for (let at = 0; cards.length < cardCount; at += 1) if (node.cards[at] === CARD) cards.push(at);
    return { ...amounts, perCard: CARD, cards };
  }

  #firstByIndex(ask: Ask): Candidate | undefined {
    const ranking = this.#rankingOf(ask.request);
    const first = ranking.best();
    if (first === undefined) return undefined;
    const node = this.#index.firstOf(first);
    if (ask.accepts === undefined || ask.accepts(node)) {
      return this.#candidate(ask, node, ranking.penaltyOf(first));
    }
    return this.#inOrder(ask, 1)[0];
  }

  /** The first `count` nodes in order of penalty and rank that the request accepts. */
  #inOrder(ask: Ask, count: number): readonly Candidate[] {
    const found: Candidate[] = [];
    this.#rankingOf(ask.request).inOrder((states, penalty) => {
      const nodes = states
        .flatMap((state) => this.#index.nodesOf(state))
        .filter((node) => ask.accepts?.(node) ?? true);
      for (const node of firstByRank(nodes, count - found.length)) {
        found.push(this.#candidate(ask, node, penalty));
      }
      return found.length === count;
    });
    return found;
  }

  #drawn(ask: Ask, { count, rng }: { count: number; rng: Rng }): Candidate | undefined {
    const first = this.#inOrder(ask, count);
    return first[rng.below(Math.max(1, first.length))];
  }

  #bestOfAll(ask: Ask): Candidate | undefined {
    let best: Candidate | undefined;
    for (const node of this.#index.nodes()) {
      const penalty = node.state && this.#penaltyOf(ask.request, node.state);
      if (penalty === undefined || !(ask.accepts?.(node) ?? true)) continue;
      const candidate = this.#candidate(ask, node, penalty);
      if (best === undefined || isBefore(candidate, best)) best = candidate;
    }
    return best;
  }

  /**
   * The better of `known`, the first by penalty alone, and of the nodes that hold some of what
   * will be read. When `known` holds all of it no other is better; otherwise a node is looked at
   * closely only when its penalty alone does not rule it out, and each state is scored once.
   */
  #bestHolder(ask: Ask, known: Candidate | undefined): Candidate | undefined {
    const { artifacts = [] } = ask;
    if (known === undefined || missingPart(known.node, artifacts) === 0) return known;
    const penaltyOf = this.#penaltiesOf(ask.request);
    let best = known;
    for (const node of this.#holdersOf(artifacts)) {
      const penalty = node.state && penaltyOf(node.state);
      if (penalty === undefined || !couldBeat(best, penalty, node)) continue;
      if (!(ask.accepts?.(node) ?? true)) continue;
      const candidate = this.#candidate(ask, node, penalty);
      if (isBefore(candidate, best)) best = candidate;
    }
    return best;
  }

  /** Penalties of states that scores each once; `undefined` where the request does not fit. */
  #penaltiesOf(request: RequestClass): (state: NodeState) => number | undefined {
    const known = new Map<NodeState, number | undefined>();
    return (state) => {
      if (!known.has(state)) known.set(state, this.#penaltyOf(request, state));
      return known.get(state);
    };
  }

  #candidate(ask: Ask, node: IndexedNode, penalty: number): Candidate {
    const { state } = node;
    assert(state !== undefined, `node ${node.node.nodeId} has no state`);
    const cold = ask.artifacts === undefined ? 0 : missingPart(node, ask.artifacts);
    return { node, state, total: penalty + cold * this.#strategy.coldPenalty };
  }

  /** Nodes that hold some of what the request reads, once each. */
  #holdersOf(artifacts: readonly Artifact[]): Iterable<IndexedNode> {
    this.#holders ??= holdersByArtifact(this.#index.nodes());
    const holders = this.#holders;
    const [only] = artifacts;
    if (artifacts.length === 1) return holders.get(only?.contentHash ?? "") ?? [];
    return new Set(artifacts.flatMap(({ contentHash }) => holders.get(contentHash) ?? []));
  }

  #penaltyOf(request: RequestClass, state: NodeState): number | undefined {
    if (failedProfileStage(state.profile, request) !== undefined) return undefined;
    if (!hasRoom(state, request)) return undefined;
    return this.#score(request, state);
  }

  #score(request: RequestClass, state: NodeState): number {
    this.#scoredCount += 1;
    const type = state.profile.node.gpuType;
    const step = (type && request.preferenceOf?.get(type)) ?? 0;
    return step * SPAN + this.#strategy.penalty(request, state);
  }

  #rankingOf(request: RequestClass): Ranking {
    const known = this.#rankings.get(request.key);
    if (known !== undefined) {
      this.#rankings.delete(request.key);
      this.#rankings.set(request.key, known);
      return known;
    }
    this.#makeRoom();
    const accepted: (boolean | undefined)[] = [];
    const ranking = new Ranking(this.#index, (state) => {
      const { profile } = state;
      const accepts = (accepted[profile.id] ??= failedProfileStage(profile, request) === undefined);
      return accepts && hasRoom(state, request) ? this.#score(request, state) : undefined;
    });
    this.#rankings.set(request.key, ranking);
    return ranking;
  }

  #makeRoom(): void {
    while (
      this.#rankings.size >= RANKING_COUNT_MAX ||
      (this.#rankings.size > 0 &&
        this.#rankings.size % 64 === 0 &&
        this.entryCount > ENTRY_COUNT_MAX)
    ) {
      const [oldest] = this.#rankings.keys();
      this.#rankings.delete(oldest ?? "");
    }
  }
}

function isBefore(one: Candidate, other: Candidate): boolean {
  return one.total !== other.total ? one.total < other.total : one.node.rank < other.node.rank;
}

/** Whether a node of this penalty may come before `best`: what is cold only adds to it. */
function couldBeat(best: Candidate, penalty: number, { rank }: IndexedNode): boolean {
  return penalty !== best.total ? penalty < best.total : rank < best.node.rank;
}

/** The `count` nodes of the smallest ranks, in order. O(nodes) for one of them. */
function firstByRank(nodes: readonly IndexedNode[], count: number): readonly IndexedNode[] {
  if (count > 1) return nodes.toSorted((a, b) => a.rank - b.rank).slice(0, count);
  let first: IndexedNode | undefined;
  for (const node of nodes) if (first === undefined || node.rank < first.rank) first = node;
  return first === undefined ? [] : [first];
}

/** The part of what will be read that the node does not hold, 0..1. */
function missingPart({ node }: IndexedNode, artifacts: readonly Artifact[]): number {
  const total = artifacts.reduce((sum, { sizeMiB }) => sum + sizeMiB, 0);
  if (total <= 0) return 0;
  const missing = artifacts.reduce(
    (sum, { contentHash, sizeMiB }) =>
      sum + (node.cachedArtifacts?.includes(contentHash) === true ? 0 : sizeMiB),
    0,
  );
  return missing / total;
}

function holdersByArtifact(
  nodes: Iterable<IndexedNode>,
): ReadonlyMap<string, readonly IndexedNode[]> {
  const holders = new Map<string, IndexedNode[]>();
  for (const node of nodes) {
    for (const hash of node.node.cachedArtifacts ?? []) {
      const known = holders.get(hash);
      if (known === undefined) holders.set(hash, [node]);
      else known.push(node);
    }
  }
  return holders;
}
