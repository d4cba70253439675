/**
 * Fleet index: the nodes, what their containers take, and the states the nodes are in.
 *
 * A container that moves in or out moves one node from one state to another, in O(cards + log
 * nodes), and moving out restores exactly what was there before. States without nodes are kept
 * for a while, since they often come back, and then forgotten, so that memory follows the fleet
 * and not its history.
 */
import { assert, type Node, type PlacedContainer } from "../../core/index.ts";
import { layOut, type Taken } from "./lay-out.ts";
import { NodeState, type FreeAmounts, type Ranked } from "./node-state.ts";
import { ProfileTable, type NodeProfile } from "./profile.ts";
import type { StateLog } from "./ranking.ts";
import { CARD } from "./request-class.ts";

/** One node of the index, as it is now. */
export interface IndexedNode extends Ranked {
  readonly node: Node;
  readonly profile: NodeProfile;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Millionths free on each card, by its number. */
  readonly cards: readonly number[];
  readonly containerCount: number;
}

/** Where a container is and what it takes there. */
export interface Residence {
  readonly nodeId: string;
  readonly taken: Taken;
}

interface MutableNode extends IndexedNode {
  node: Node;
  profile: NodeProfile;
  rank: number;
  /** Absent only while the node is being added. */
  state: NodeState | undefined;
  cards: number[];
  cpuMilli: number;
  memoryMiB: number;
  diskMiB: number;
  containerCount: number;
}

/** Log entries kept beyond those of a fleet's size; older readers start afresh. */
const LOG_SLACK = 4_096;
/** States without nodes kept beyond as many as there are states with nodes. */
const EMPTY_STATES_SLACK = 1_024;

export class FleetIndex implements StateLog {
  readonly #profiles = new ProfileTable();
  readonly #nodes = new Map<string, MutableNode>();
  readonly #residences = new Map<string, Residence>();
  readonly #states = new Map<string, NodeState>();
  readonly #active = new Set<NodeState>();
  /** States that lost their last node, in that order. */
  readonly #emptied = new Set<NodeState>();
  readonly #freeStateIds: number[] = [];
  #stateIdCount = 0;
  #log: NodeState[] = [];
  #logStart = 0;

  /**
   * @param nodes Each once, in any order; ties between equal scores go to the smaller node id.
   * @param containers Those of unknown nodes are ignored.
   */
  constructor(nodes: readonly Node[], containers: readonly PlacedContainer[]) {
    const sorted = [...nodes].sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
    const held = Map.groupBy(containers, (container) => container.nodeId);
    for (const [rank, node] of sorted.entries()) this.#add(node, rank, held.get(node.nodeId) ?? []);
  }

  /** More nodes, with what is on them. Ranks everything anew: O(n log n) in all nodes. */
  addNodes(nodes: readonly Node[], containers: readonly PlacedContainer[]): void {
    const held = Map.groupBy(containers, (container) => container.nodeId);
    for (const node of nodes) {
      this.#add(node, Number.POSITIVE_INFINITY, held.get(node.nodeId) ?? []);
    }
    const byId = [...this.#nodes.values()].sort((a, b) => (a.node.nodeId < b.node.nodeId ? -1 : 1));
    for (const [rank, node] of byId.entries()) node.rank = rank;
    for (const state of this.#active) state.reorder();
    // Readers noted ranks that are no more.
    this.#logStart += this.#log.length + 1;
    this.#log = [];
  }

  /** A node is gone, and its containers with it. */
  removeNode(nodeId: string): void {
    const node = this.#known(nodeId);
    for (const [containerId, residence] of this.#residences) {
      if (residence.nodeId === nodeId) this.#residences.delete(containerId);
    }
    this.#nodes.delete(nodeId);
    this.#leave(node);
  }

  /** A node has changed in what its containers do not touch, such as its state. */
  updateNode(node: Node): void {
    const record = this.#known(node.nodeId);
    const { cpuMilli, memoryMiB, diskMiB, cardCount } = record.profile;
    const profile = this.#profiles.of(node);
    assert(profile.cardCount === cardCount, `node ${node.nodeId} has changed its GPUs`);
    record.node = node;
    record.profile = profile;
    record.cpuMilli += profile.cpuMilli - cpuMilli;
    record.memoryMiB += profile.memoryMiB - memoryMiB;
    if (profile.diskMiB !== diskMiB) record.diskMiB = profile.diskMiB;
    this.#enter(record);
  }

  /** Containers on nodes. */
  get residenceCount(): number {
    return this.#residences.size;
  }

  residences(): Iterable<readonly [string, Residence]> {
    return this.#residences;
  }

  get activeCount(): number {
    return this.#active.size;
  }

  /** States held, those without nodes included. */
  get stateCount(): number {
    return this.#states.size;
  }

  get end(): number {
    return this.#logStart + this.#log.length;
  }

  since(position: number): readonly NodeState[] | undefined {
    return position < this.#logStart ? undefined : this.#log.slice(position - this.#logStart);
  }

  active(): Iterable<NodeState> {
    return this.#active;
  }

  nodes(): Iterable<IndexedNode> {
    return this.#nodes.values();
  }

  node(nodeId: string): IndexedNode | undefined {
    return this.#nodes.get(nodeId);
  }

  /** The first node of a state that has one. */
  firstOf(state: NodeState): IndexedNode {
    return this.#known(state.first()?.node.nodeId ?? "");
  }

  /** The nodes of a state, in no order. O(n). */
  nodesOf(state: NodeState): readonly IndexedNode[] {
    return state.nodes().map(({ node }) => this.#known(node.nodeId));
  }

  residence(containerId: string): Residence | undefined {
    return this.#residences.get(containerId);
  }

  /** A container moves in; whether it fits is the caller's to know. */
  admit(containerId: string, { nodeId, taken }: Residence): void {
    assert(!this.#residences.has(containerId), `container ${containerId} is on a node already`);
    this.#change(nodeId, taken, 1);
    this.#residences.set(containerId, { nodeId, taken });
  }

  /** A container moves out and leaves everything as it was before it came. */
  dismiss(containerId: string): void {
    const residence = this.#residences.get(containerId);
    assert(residence !== undefined, `container ${containerId} is on no node`);
    this.#residences.delete(containerId);
    this.#change(residence.nodeId, residence.taken, -1);
  }

  #known(nodeId: string): MutableNode {
    const node = this.#nodes.get(nodeId);
    assert(node !== undefined, `node ${nodeId} is not in the fleet`);
    return node;
  }

  #change(nodeId: string, taken: Taken, sign: 1 | -1): void {
    const node = this.#known(nodeId);
    applyTo(node, taken, sign);
    this.#enter(node);
  }

  #add(node: Node, rank: number, containers: readonly PlacedContainer[]): void {
    assert(!this.#nodes.has(node.nodeId), `node ${node.nodeId} is in the fleet twice`);
    const profile = this.#profiles.of(node);
    const { cpuMilli, memoryMiB, diskMiB } = profile;
    const amounts = { cpuMilli, memoryMiB, diskMiB, containerCount: 0 };
    const cards = new Array<number>(profile.cardCount).fill(CARD);
    const record: MutableNode = { node, rank, profile, cards, ...amounts, state: undefined };
    this.#nodes.set(node.nodeId, record);
    for (const { containerId, taken } of layOut(cards, containers)) {
      assert(!this.#residences.has(containerId), `container ${containerId} is on two nodes`);
      this.#residences.set(containerId, { nodeId: node.nodeId, taken });
      applyTo(record, taken, 1);
    }
    this.#enter(record);
  }

  #enter(node: MutableNode): void {
    const state = this.#stateOf(node);
    if (state === node.state) return;
    this.#leave(node);
    node.state = state;
    if (state.nodeCount === 0) {
      this.#emptied.delete(state);
      this.#active.add(state);
    }
    if (state.enter(node)) this.#note(state);
  }

  #leave(node: MutableNode): void {
    const left = node.state;
    if (left === undefined) return;
    node.state = undefined;
    left.leave();
    if (left.nodeCount === 0) this.#retire(left);
  }

  #note(state: NodeState): void {
    this.#log.push(state);
    const most = 2 * this.#active.size + LOG_SLACK;
    if (this.#log.length <= 2 * most) return;
    this.#logStart += this.#log.length - most;
    this.#log = this.#log.slice(-most);
  }

  #retire(state: NodeState): void {
    this.#active.delete(state);
    this.#emptied.add(state);
    if (this.#emptied.size <= this.#active.size + EMPTY_STATES_SLACK) return;
    const [oldest] = this.#emptied;
    if (oldest === undefined) return;
    this.#emptied.delete(oldest);
    this.#states.delete(oldest.key);
    this.#freeStateIds.push(oldest.id);
  }

  #stateOf(node: MutableNode): NodeState {
    const cards = node.cards.toSorted((a, b) => b - a);
    const occupied = node.containerCount > 0;
    const { profile, cpuMilli, memoryMiB, diskMiB } = node;
    const amounts = `${profile.id}|${cpuMilli}|${memoryMiB}|${diskMiB}`;
    const key = `${amounts}|${occupied ? 1 : 0}|${cards.join()}`;
    const known = this.#states.get(key);
    if (known !== undefined) return known;
    const free: FreeAmounts = { cpuMilli, memoryMiB, diskMiB, cards, occupied };
    const id = this.#freeStateIds.pop() ?? this.#stateIdCount++;
    const state = new NodeState(id, key, { profile, free });
    this.#states.set(key, state);
    return state;
  }
}

function applyTo(node: MutableNode, taken: Taken, sign: 1 | -1): void {
  node.cpuMilli -= sign * taken.cpuMilli;
  node.memoryMiB -= sign * taken.memoryMiB;
  node.diskMiB -= sign * taken.diskMiB;
  node.containerCount += sign;
  for (const card of taken.cards) {
    node.cards[card] = (node.cards[card] ?? 0) - sign * taken.perCard;
  }
}
