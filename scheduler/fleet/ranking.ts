/**
 * Ranking: the states a class fits on, best first, kept up to date lazily.
 *
 * A heap of (penalty, rank of the state's first node). Penalties are computed once for a class
 * and a state. When a state gets a node of a smaller rank than it had, or its first node at
 * all, the index logs it; a ranking reads the log when its class comes up and adds entries.
 * When a state loses its first node, its entry is too low and is corrected when it comes up.
 * The order is therefore exactly that of looking at every node, ties included: smallest
 * penalty, then smallest rank.
 *
 * Cost: O(new states since the class last came up + log states). Bounded: entries are swept
 * once they are twice the states in use.
 */
import { assert } from "../../core/index.ts";
import type { NodeState } from "./node-state.ts";

/** What the ranking asks of the index. */
export interface StateLog {
  /** States that have nodes. */
  readonly activeCount: number;
  active(): Iterable<NodeState>;
  /** Position after the newest entry. */
  readonly end: number;
  /** Entries from `position` on, or `undefined` when they are forgotten. */
  since(position: number): readonly NodeState[] | undefined;
}

/** The penalty of a state, or `undefined` where the class does not fit. */
export type StatePenalty = (state: NodeState) => number | undefined;

export class Ranking {
  readonly #penaltyOf: StatePenalty;
  readonly #log: StateLog;
  #position = -1;
  readonly #owner: (NodeState | undefined)[] = [];
  readonly #known: number[] = [];
  #states: NodeState[] = [];
  #penalties: number[] = [];
  #ranks: number[] = [];

  constructor(log: StateLog, penaltyOf: StatePenalty) {
    this.#log = log;
    this.#penaltyOf = penaltyOf;
  }

  /** Entries held; what the index bounds. */
  get size(): number {
    return this.#states.length + this.#known.length;
  }

  /** The best state, or `undefined` when the class fits nowhere. */
  best(): NodeState | undefined {
    this.#catchUp();
    return this.#settleTop();
  }

  /** The penalty of a state that `best` or `inOrder` gave. */
  penaltyOf(state: NodeState): number {
    return this.#known[state.id] ?? Number.NaN;
  }

  /** Groups of states with equal penalties, the best first, until `visit` returns true. */
  inOrder(visit: (states: readonly NodeState[], penalty: number) => boolean): void {
    this.#catchUp();
    const taken = new Set<NodeState>();
    for (let group = this.#takeGroup(taken); group.length > 0; group = this.#takeGroup(taken)) {
      const [first] = group;
      if (first === undefined || visit(group, this.penaltyOf(first))) break;
    }
    for (const state of taken) this.#push(state, this.penaltyOf(state), state.firstRank());
  }

  /** Takes the states with the smallest penalty off the heap. */
  #takeGroup(taken: Set<NodeState>): readonly NodeState[] {
    const group: NodeState[] = [];
    for (;;) {
      const state = this.#settleTop();
      if (state === undefined) return group;
      const [first] = group;
      if (first !== undefined && this.penaltyOf(first) !== this.penaltyOf(state)) return group;
      this.#dropTop();
      if (!taken.has(state)) group.push(state);
      taken.add(state);
    }
  }

  #catchUp(): void {
    const fresh = this.#position < 0 ? undefined : this.#log.since(this.#position);
    this.#position = this.#log.end;
    if (fresh === undefined || this.#states.length > 2 * this.#log.activeCount + 64) {
      this.#rebuild();
      return;
    }
    for (const state of fresh) if (state.nodeCount > 0) this.#add(state);
  }

  #rebuild(): void {
    this.#states = [];
    this.#penalties = [];
    this.#ranks = [];
    for (const state of this.#log.active()) this.#add(state);
  }

  #add(state: NodeState): void {
    const { id } = state;
    if (this.#owner[id] !== state) {
      while (this.#known.length <= id) {
        this.#known.push(Number.NaN);
        this.#owner.push(undefined);
      }
      this.#owner[id] = state;
      this.#known[id] = this.#penaltyOf(state) ?? Number.POSITIVE_INFINITY;
    }
    const penalty = this.#known[id] ?? Number.POSITIVE_INFINITY;
    if (penalty !== Number.POSITIVE_INFINITY) this.#push(state, penalty, state.firstRank());
  }

  /** Corrects the top until it is right, and gives it. */
  #settleTop(): NodeState | undefined {
    for (;;) {
      const state = this.#states[0];
      if (state === undefined) return undefined;
      const rank = this.#ranks[0] ?? 0;
      const present = state.nodeCount > 0 && this.#owner[state.id] === state;
      const first = present ? state.firstRank() : rank;
      if (present && first === rank) return state;
      const penalty = this.#penalties[0] ?? 0;
      this.#dropTop();
      // A smaller rank than noted was logged and has an entry of its own.
      if (present && first > rank) this.#push(state, penalty, first);
    }
  }

  #push(state: NodeState, penalty: number, rank: number): void {
    let at = this.#states.length;
    this.#states.push(state);
    this.#penalties.push(penalty);
    this.#ranks.push(rank);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(penalty, rank, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#write(at, state, penalty, rank);
  }

  #dropTop(): void {
    const state = this.#states.pop();
    const penalty = this.#penalties.pop();
    const rank = this.#ranks.pop();
    const size = this.#states.length;
    if (size === 0) return;
    assert(state !== undefined && penalty !== undefined && rank !== undefined, "heap is uneven");
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBeforeAt(child + 1, child)) child += 1;
      if (this.#isBefore(penalty, rank, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#write(at, state, penalty, rank);
  }

  #isBefore(penalty: number, rank: number, at: number): boolean {
    const other = this.#penalties[at] ?? 0;
    return penalty !== other ? penalty < other : rank < (this.#ranks[at] ?? 0);
  }

  #isBeforeAt(one: number, other: number): boolean {
    return this.#isBefore(this.#penalties[one] ?? 0, this.#ranks[one] ?? 0, other);
  }

  #move(from: number, to: number): void {
    const state = this.#states[from];
    if (state !== undefined) this.#states[to] = state;
    this.#penalties[to] = this.#penalties[from] ?? 0;
    this.#ranks[to] = this.#ranks[from] ?? 0;
  }

  #write(at: number, state: NodeState, penalty: number, rank: number): void {
    this.#states[at] = state;
    this.#penalties[at] = penalty;
    this.#ranks[at] = rank;
  }
}
