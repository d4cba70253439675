/** The nodes of one scenario while containers are placed on them, wherever they cost least. */
import { placeFirstFit, roomOf, type NodeStack } from "./packing.ts";
import type { Problem, ProblemClass } from "./problem.ts";

/** Empty nodes of one offer. */
function emptyStack(problem: Problem, offerIndex: number, nodeCount: number): NodeStack {
  const resources = problem.offers[offerIndex]?.offer.resources;
  return {
    offerIndex,
    nodeCount,
    room: roomOf(resources ?? { gpuCount: 0, cpuMilli: 0, memoryMiB: 0 }),
    containers: new Map(),
  };
}

/** The nodes of one scenario while containers are placed on them. */
export class Yard {
  readonly placed = new Map<number, number>();
  readonly #problem: Problem;
  readonly #byOffer = new Map<number, readonly NodeStack[]>();

  constructor(problem: Problem, counts: readonly number[], drafted: readonly NodeStack[] = []) {
    this.#problem = problem;
    for (const [offerIndex, stacks] of Map.groupBy(drafted, (stack) => stack.offerIndex)) {
      this.#byOffer.set(offerIndex, stacks);
    }
    for (const { nodeCount, containers } of drafted) {
      for (const [classIndex, quantity] of containers) {
        const before = this.placed.get(classIndex) ?? 0;
        this.placed.set(classIndex, before + nodeCount * quantity);
      }
    }
    for (const [offerIndex, count] of counts.entries()) {
      const listed = this.#byOffer.get(offerIndex) ?? [];
      const idle = count - listed.reduce((sum, { nodeCount }) => sum + nodeCount, 0);
      if (idle > 0) this.add(offerIndex, idle);
    }
  }

  /** Brings empty nodes in. */
  add(offerIndex: number, nodeCount: number): void {
    const before = this.#byOffer.get(offerIndex) ?? [];
    this.#byOffer.set(offerIndex, [...before, emptyStack(this.#problem, offerIndex, nodeCount)]);
  }

  /** Places containers where they cost least; gives how many found no room. */
  place(classIndex: number, quantity: number): number {
    const demand = this.#problem.classes[classIndex];
    let open = Math.max(0, quantity);
    if (!demand || open === 0) return open;
    for (const groupIndex of cheapestPlaces(this.#problem, demand)) {
      for (const offerIndex of this.#problem.groups[groupIndex]?.offerIndexes ?? []) {
        if (open === 0) return 0;
        open = this.placeOn(offerIndex, classIndex, open);
      }
    }
    return open;
  }

  /** Places containers on the nodes of one offer. */
  placeOn(offerIndex: number, classIndex: number, quantity: number): number {
    const stacks = this.#byOffer.get(offerIndex);
    const needs = this.#problem.classes[classIndex]?.needs;
    if (!stacks || !needs) return quantity;
    const { stacks: after, leftover } = placeFirstFit(stacks, { classIndex, needs, quantity });
    this.#byOffer.set(offerIndex, after);
    return leftover;
  }

  /** Nodes that hold something. */
  stacks(): readonly NodeStack[] {
    return [...this.#byOffer]
      .sort(([a], [b]) => a - b)
      .flatMap(([, stacks]) => stacks.filter(({ containers }) => containers.size > 0));
  }
}

/** Groups of a class, those first where its containers cost least; sorted once. */
function cheapestPlaces(problem: Problem, demand: ProblemClass): readonly number[] {
  const known = CHEAPEST_PLACES.get(demand);
  if (known) return known;
  const usd = ({ groupIndex, position }: ProblemClass["places"][number]): number =>
    problem.groups[groupIndex]?.costs[position]?.usd ?? 0;
  const sorted = demand.places
    .map((place) => ({ groupIndex: place.groupIndex, usd: usd(place) }))
    .sort((a, b) => a.usd - b.usd || a.groupIndex - b.groupIndex)
    .map(({ groupIndex }) => groupIndex);
  CHEAPEST_PLACES.set(demand, sorted);
  return sorted;
}

const CHEAPEST_PLACES = new WeakMap<ProblemClass, readonly number[]>();
