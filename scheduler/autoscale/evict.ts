/**
 * Eviction: which idle containers make room for one that waits.
 *
 * An idle container above its function's floor is a cache entry: it may save its function a
 * start, and it costs a slot. Whoever has inputs waiting needs a slot now. So for each waiting
 * container, oldest first, the cheapest set of idle containers on one node is found whose end
 * lets it fit there.
 *
 *     value(container) = startupMs / idleMs
 *
 * is the waiting it saves per unit of time: what has idled for t is about as likely to be needed
 * within the next t, so its worth falls with its idle time and grows with what a start takes.
 * A container of a buffer is worth more than any other, and goes last.
 *
 * Guarantees, held by tests: only idle containers end, none of the function that waits, and no
 * function falls below its floor; whoever is evicted for fits on that node then; no
 * set could spare one of its containers; nobody is evicted for a container that fits already,
 * or will once the containers that are ending have left.
 * Limits: one node at a time and greedy in a fixed order, so a cheaper set that needs a costlier
 * container first is not found; at most 100 nodes are looked at, those with the cheapest idle
 * containers. Asks `fitsOn` O(waiting classes * nodes * idle containers per node) times.
 *
 * Pure: equal inputs give equal evictions, order included.
 */
import {
  demandClassKey,
  resourcesOf,
  type ContainerNeeds,
  type ContainerRequest,
  type Node,
  type PlacedContainer,
} from "../../core/index.ts";

/** A container without a node whose function has inputs waiting. */
export interface WaitingContainer extends ContainerRequest {
  /** Its function, for reasons. */
  readonly functionName: string;
}

/** A container on a node, and what its end would mean. */
export interface EvictableContainer extends PlacedContainer {
  readonly functionName: string;
  /** It is ending already: its room comes free by itself. */
  readonly ending: boolean;
  /** Time that a start of its function takes. */
  readonly startupMs: number;
}

/** The floor and the buffer of a function with containers. */
export interface KeptContainers {
  readonly minContainers: number;
  /** Idle containers that the function wants now, beside those at work. */
  readonly bufferContainers: number;
}

/** One waiting container, and who ends for it. */
export interface Eviction {
  readonly forContainerId: string;
  readonly nodeId: string;
  /** Least valuable first; empty when room is coming free already. */
  readonly stop: readonly { readonly containerId: string; readonly reason: string }[];
}

/** Whether the scheduler would put a container on a node that holds `containers`. */
export type FitsOn = (
  waiting: ContainerRequest,
  node: Node,
  containers: readonly PlacedContainer[],
) => boolean;

export interface EvictionInput {
  readonly fitsOn: FitsOn;
  readonly waiting: readonly WaitingContainer[];
  readonly nodes: readonly Node[];
  /** Every container that holds room on a node. */
  readonly containers: readonly EvictableContainer[];
  /** By function; one that is missing keeps nothing. */
  readonly kept: ReadonlyMap<string, KeptContainers>;
}

/**
 * Decides who ends for whom. Left out are those that nothing helps, and those that fit already:
 * why they were not placed is nothing that an eviction mends.
 */
export function evict(input: EvictionInput, nowMs: number): readonly Eviction[] {
  const table = new EvictionTable(input, nowMs);
  const evictions: Eviction[] = [];
  const hopeless = new Set<string>();
  const keyOf = classKeys();
  for (const waiting of [...input.waiting].sort(byAge)) {
    const classKey = keyOf(waiting);
    const kind = `${waiting.functionId}/${classKey}`;
    if (hopeless.has(kind)) continue;
    const eviction = table.evictFor(waiting, { classKey, kind });
    if (eviction === undefined) hopeless.add(kind);
    else evictions.push(eviction);
  }
  return evictions;
}

/** Waiting containers of one class need the same; those of one kind are of one function as well. */
interface Likeness {
  readonly classKey: string;
  readonly kind: string;
}

/** Keys of classes, each spelt out once for one object of needs; rules of its own set one apart. */
function classKeys(): (waiting: WaitingContainer) => string {
  const known = new Map<ContainerNeeds, string>();
  return ({ needs, functionId, spread, excludedNodeIds, gang }) => {
    const key = known.get(needs) ?? demandClassKey(needs);
    known.set(needs, key);
    return [spread, excludedNodeIds, gang].some((rule) => rule !== undefined)
      ? `${functionId}/${key}`
      : key;
  };
}

interface Candidate extends EvictableContainer {
  readonly isBuffer: boolean;
  readonly value: number;
}

interface Way {
  readonly node: Node;
  readonly victims: readonly Candidate[];
}

/** The way on a node: for any function but those whose containers were looked at, or for one. */
interface NodeWay {
  readonly way: Way | undefined;
  readonly lookedAt: ReadonlySet<string>;
}

const NODES_MAX = 100;

/** The fleet as it will be while evictions are being decided. */
class EvictionTable {
  readonly #fitsOn: FitsOn;
  readonly #nodes: readonly Node[];
  readonly #kept: EvictionInput["kept"];
  readonly #nowMs: number;
  /** What is on each node now, with those who were promised room. */
  readonly #present: Map<string, readonly PlacedContainer[]>;
  /** What stays of that: neither ending nor evicted. */
  readonly #held: Map<string, readonly PlacedContainer[]>;
  readonly #candidates: Map<string, readonly Candidate[]>;
  /** Containers that each function may still lose. */
  readonly #spare = new Map<string, number>();
  /** The way on each node, by class and for single kinds, as far as it is known. */
  readonly #commonWays = new Map<string, Map<string, NodeWay>>();
  readonly #ways = new Map<string, Map<string, NodeWay>>();
  /** Classes for which room was sought before anybody had to end. */
  readonly #isSought = new Set<string>();

  constructor({ fitsOn, nodes, containers, kept }: EvictionInput, nowMs: number) {
    this.#fitsOn = fitsOn;
    this.#kept = kept;
    this.#nowMs = nowMs;
    const staying = containers.filter(({ ending }) => !ending);
    this.#present = Map.groupBy(containers, ({ nodeId }) => nodeId);
    this.#held = Map.groupBy(staying, ({ nodeId }) => nodeId);
    const candidates: Candidate[] = [];
    for (const [functionId, own] of Map.groupBy(staying, (one) => one.functionId)) {
      this.#spare.set(functionId, own.length - (kept.get(functionId)?.minContainers ?? 0));
      candidates.push(...this.#candidatesOf(functionId, own));
    }
    this.#candidates = Map.groupBy(candidates.sort(byValue), ({ nodeId }) => nodeId);
    this.#nodes = nodesWorthLooking(nodes, [
      ...containers.filter(({ ending }) => ending),
      ...candidates,
    ]);
  }

  evictFor(waiting: WaitingContainer, like: Likeness): Eviction | undefined {
    if (!this.#isSought.has(like.classKey)) {
      if (this.#nodes.some((node) => this.#hasRoom(node, waiting))) return undefined;
      this.#isSought.add(like.classKey);
    }
    const best = this.#bestWay(waiting, like);
    if (best === undefined) return undefined;
    this.#take(best, waiting);
    const stop = best.victims.map((victim) => {
      return { containerId: victim.containerId, reason: reasonFor(victim, waiting, this.#nowMs) };
    });
    return { forContainerId: waiting.containerId, nodeId: best.node.nodeId, stop };
  }

  #hasRoom(node: Node, waiting: WaitingContainer): boolean {
    return this.#fitsOn(waiting, node, this.#present.get(node.nodeId) ?? []);
  }

  /** The newest idle ones are the buffer: the others have idled longest. */
  #candidatesOf(functionId: string, own: readonly EvictableContainer[]): readonly Candidate[] {
    const idle = own.filter(({ idleSinceMs }) => idleSinceMs !== undefined);
    const buffer = this.#kept.get(functionId)?.bufferContainers ?? 0;
    return idle
      .map((one) => ({ ...one, value: valueOf(one, this.#nowMs) }))
      .sort(byWorth)
      .map((one, position) => ({ ...one, isBuffer: position >= idle.length - buffer }));
  }

  /** The cheapest of all nodes, the first of equals. */
  #bestWay(waiting: WaitingContainer, like: Likeness): Way | undefined {
    let best: Way | undefined;
    for (const node of this.#nodes) {
      const way = this.#wayFor(waiting, node, like);
      if (way !== undefined && (best === undefined || byCost(way, best) < 0)) best = way;
    }
    return best;
  }

  #wayFor(waiting: WaitingContainer, node: Node, { classKey, kind }: Likeness): Way | undefined {
    const { nodeId } = node;
    const { functionId } = waiting;
    const common = keptIn(this.#commonWays, { key: classKey, nodeId }, () =>
      this.#wayOn(node, waiting, undefined),
    );
    if (!common.lookedAt.has(functionId)) return common.way;
    return keptIn(this.#ways, { key: kind, nodeId }, () => this.#wayOn(node, waiting, functionId))
      .way;
  }

  /** Ways of this node, and those that would now take a function below its floor. */
  #forgetWays(nodeId: string): void {
    for (const known of [...this.#ways.values(), ...this.#commonWays.values()]) {
      for (const [there, { way }] of known) {
        if (there === nodeId || (way !== undefined && !this.#isSpared(way))) known.delete(there);
      }
    }
  }

  #isSpared({ victims }: Way): boolean {
    const [only] = victims;
    if (only === undefined) return true;
    if (victims.length === 1) return (this.#spare.get(only.functionId) ?? 0) >= 1;
    const losses = Map.groupBy(victims, ({ functionId }) => functionId);
    return [...losses].every(([functionId, lost]) => {
      return lost.length <= (this.#spare.get(functionId) ?? 0);
    });
  }

  /**
   * The containers of this node that must end for `waiting` to fit; no way when none do.
   *
   * @param ownId The function that waits, whose own containers make no room for it.
   */
  #wayOn(node: Node, waiting: WaitingContainer, ownId: string | undefined): NodeWay {
    const held = this.#held.get(node.nodeId) ?? [];
    const gone = new Set<string>();
    const staying = (): readonly PlacedContainer[] =>
      held.filter(({ containerId }) => !gone.has(containerId));
    const fits = (): boolean => this.#fitsOn(waiting, node, staying());
    const chosen: Candidate[] = [];
    const lookedAt = new Set<string>();
    const losses = new Map<string, number>();
    let isRoom = fits();
    for (const candidate of this.#candidates.get(node.nodeId) ?? []) {
      if (isRoom) break;
      const { functionId, containerId } = candidate;
      lookedAt.add(functionId);
      const lost = losses.get(functionId) ?? 0;
      const isSpare = lost < (this.#spare.get(functionId) ?? 0);
      if (functionId === ownId || !isSpare) continue;
      losses.set(functionId, lost + 1);
      chosen.push(candidate);
      gone.add(containerId);
      isRoom = fits();
    }
    const way = isRoom ? { node, victims: spared(chosen, gone, fits) } : undefined;
    return { way, lookedAt };
  }

  /** The room is given away: nobody else gets it in this round. */
  #take({ node, victims }: Way, waiting: WaitingContainer): void {
    const { nodeId } = node;
    const gone = new Set(victims.map(({ containerId }) => containerId));
    const staying = (this.#held.get(nodeId) ?? []).filter((one) => !gone.has(one.containerId));
    this.#held.set(nodeId, [...staying, placedAs(waiting, nodeId)]);
    const present = this.#present.get(nodeId) ?? [];
    this.#present.set(nodeId, [...present, placedAs(waiting, nodeId)]);
    const left = (this.#candidates.get(nodeId) ?? []).filter((one) => !gone.has(one.containerId));
    this.#candidates.set(nodeId, left);
    for (const { functionId } of victims) {
      this.#spare.set(functionId, (this.#spare.get(functionId) ?? 0) - 1);
    }
    this.#forgetWays(nodeId);
  }
}

/** What is known of a node under a key, found now when it is not. */
function keptIn(
  all: Map<string, Map<string, NodeWay>>,
  where: { readonly key: string; readonly nodeId: string },
  find: () => NodeWay,
): NodeWay {
  const known = all.get(where.key) ?? new Map<string, NodeWay>();
  all.set(where.key, known);
  const found = known.get(where.nodeId) ?? find();
  known.set(where.nodeId, found);
  return found;
}

/** Nodes on which something ends or may end, first come first; by id. */
function nodesWorthLooking(
  nodes: readonly Node[],
  leaving: readonly PlacedContainer[],
): readonly Node[] {
  const ids = new Set(leaving.map(({ nodeId }) => nodeId));
  const chosen = new Set([...ids].slice(0, NODES_MAX));
  return nodes
    .filter(({ nodeId }) => chosen.has(nodeId))
    .sort((a, b) => (a.nodeId < b.nodeId ? -1 : 1));
}

/** Takes back, most valuable first, whoever need not end after all. */
function spared(
  chosen: readonly Candidate[],
  gone: Set<string>,
  fits: () => boolean,
): readonly Candidate[] {
  for (const { containerId } of [...chosen].reverse()) {
    gone.delete(containerId);
    if (!fits()) gone.add(containerId);
  }
  return chosen.filter(({ containerId }) => gone.has(containerId));
}

function placedAs(waiting: WaitingContainer, nodeId: string): PlacedContainer {
  const { containerId, functionId, needs } = waiting;
  return { containerId, functionId, nodeId, resources: resourcesOf(needs) };
}

function valueOf({ startupMs, idleSinceMs = 0 }: EvictableContainer, nowMs: number): number {
  return startupMs / Math.max(1, nowMs - idleSinceMs);
}

function reasonFor(victim: Candidate, waiting: WaitingContainer, nowMs: number): string {
  const idleS = Math.max(0, nowMs - (victim.idleSinceMs ?? nowMs)) / 1_000;
  return (
    `evicted: idle for ${idleS.toFixed(1)} s above its floor, ` +
    `and ${waiting.functionName} waits for its slot`
  );
}

function byAge(one: WaitingContainer, other: WaitingContainer): number {
  return one.requestedAtMs - other.requestedAtMs || (one.containerId < other.containerId ? -1 : 1);
}

type Valued = Pick<Candidate, "value" | "containerId">;

function byWorth(one: Valued, other: Valued): number {
  return one.value - other.value || (one.containerId < other.containerId ? -1 : 1);
}

function byValue(one: Candidate, other: Candidate): number {
  return Number(one.isBuffer) - Number(other.isBuffer) || byWorth(one, other);
}

/** No buffer before some, then the least value lost, then the fewest, then the smaller node id. */
function byCost(one: Way, other: Way): number {
  const buffers = (way: Way): number => way.victims.filter(({ isBuffer }) => isBuffer).length;
  const value = (way: Way): number => way.victims.reduce((sum, victim) => sum + victim.value, 0);
  return (
    buffers(one) - buffers(other) ||
    value(one) - value(other) ||
    one.victims.length - other.victims.length
  );
}
