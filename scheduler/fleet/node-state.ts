/**
 * Node states: what is left on a node, interned, so that nodes which are alike share one.
 *
 * A state is a profile (what never changes while containers come and go), the free amounts and
 * the free part of each card in falling order. Every strategy scores a state, never a node, so
 * a fleet costs as much as it has different nodes. The nodes of a state are kept in a heap, the
 * smallest rank on top; entries of nodes that have left are skipped when they come up.
 */
import type { Node } from "../../core/index.ts";
import type { NodeProfile } from "./profile.ts";
import { CARD } from "./request-class.ts";

/** The free amounts of a node. */
export interface FreeAmounts {
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Millionths free on each card, in falling order. */
  readonly cards: readonly number[];
  /** Whether any container is on the node. */
  readonly occupied: boolean;
}

/** A node as the heap of its state sees it. */
export interface Ranked {
  readonly node: Node;
  /** Smaller goes first when scores tie. */
  readonly rank: number;
  readonly state: NodeState | undefined;
}

export class NodeState {
  /** Small and dense; given to another state once this one is forgotten. */
  readonly id: number;
  readonly key: string;
  readonly profile: NodeProfile;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly cards: readonly number[];
  readonly occupied: boolean;
  /** Cards that nobody uses. */
  readonly wholeFree: number;
  /** Millionths free over all cards. */
  readonly gpuFree: number;
  /** Nodes in this state now. */
  nodeCount = 0;
  /** A strategy's own value of the state; valid while `memoOwner` is that strategy. */
  memoOwner: object | undefined = undefined;
  memoValue = 0;
  #heap: Ranked[] = [];

  constructor(id: number, key: string, from: { profile: NodeProfile; free: FreeAmounts }) {
    const { profile, free } = from;
    this.id = id;
    this.key = key;
    this.profile = profile;
    this.cpuMilli = free.cpuMilli;
    this.memoryMiB = free.memoryMiB;
    this.diskMiB = free.diskMiB;
    this.cards = free.cards;
    this.occupied = free.occupied;
    this.wholeFree = free.cards.filter((card) => card === CARD).length;
    this.gpuFree = free.cards.reduce((sum, card) => sum + Math.max(0, card), 0);
  }

  /** Rank of the first node; infinite when there is none. O(1) but for nodes that have left. */
  firstRank(): number {
    return this.first()?.rank ?? Number.POSITIVE_INFINITY;
  }

  /** The node of the smallest rank. */
  first(): Ranked | undefined {
    while (this.#heap.length > 0 && this.#heap[0]?.state !== this) removeTop(this.#heap);
    return this.#heap[0];
  }

  /** All nodes, each once, in no order. */
  nodes(): readonly Ranked[] {
    return [...new Set(this.#heap)].filter((node) => node.state === this);
  }

  /** The ranks of nodes have changed. O(n log n). */
  reorder(): void {
    this.#heap = [...this.nodes()].sort((a, b) => a.rank - b.rank);
  }

  /** A node has come; its `state` is set already. Returns whether it is the first now. */
  enter(node: Ranked): boolean {
    this.nodeCount += 1;
    if (this.#heap.length > 2 * this.nodeCount + 8) {
      this.#heap = this.nodes().filter((one) => one !== node);
      this.#heap.sort((a, b) => a.rank - b.rank);
    }
    const before = this.firstRank();
    insert(this.#heap, node);
    return node.rank < before;
  }

  /** A node has left; its `state` is another one already. */
  leave(): void {
    this.nodeCount -= 1;
    if (this.nodeCount === 0) this.#heap = [];
  }
}

function insert(heap: Ranked[], node: Ranked): void {
  let at = heap.length;
  heap.push(node);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above.rank <= node.rank) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = node;
}

function removeTop(heap: Ranked[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    if (left >= heap.length) break;
    const right = left + 1;
    const smaller = rankAt(heap, right) < rankAt(heap, left) ? right : left;
    const child = heap[smaller];
    if (child === undefined || child.rank >= last.rank) break;
    heap[at] = child;
    at = smaller;
  }
  heap[at] = last;
}

function rankAt(heap: readonly Ranked[], at: number): number {
  return heap[at]?.rank ?? Number.POSITIVE_INFINITY;
}
