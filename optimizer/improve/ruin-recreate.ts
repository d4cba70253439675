/**
 * Ruin and recreate: gives up a few nodes that lose most and what is around them, and builds the
 * same anew, a little differently each time; what is not dearer is kept.
 *
 * A change costs a fraction of a millisecond, since only what it touches is looked at, and so
 * thousands are tried where a solver answers a few programs. What guides it are the duals of the
 * relaxation (worth.ts): they say which nodes lose, which offer is worth what could be put on it,
 * and which unmet containers should be served. Unmet containers are seeds too: what stands in
 * their way is given up, such as nodes under the same quota.
 *
 * Nothing here breaks capacity, a quota, the budget or a share: a change that would is taken back.
 * Equal inputs and an equal `rng` give equal answers.
 *
 * Source: G. Schrimpf et al., Record Breaking Optimization Results Using the Ruin and Recreate
 * Principle, Journal of Computational Physics 159 (2000).
 */
import type { Rng } from "../../core/index.ts";
import type { OpenFleet, OpenNode } from "./open-fleet.ts";
import type { Keeping } from "./part.ts";
import { recreate } from "./recreate.ts";

export interface RuinOptions {
  readonly rng: Rng;
  /** Asked now and then: whether to stop. */
  readonly isOver: () => boolean;
  /** Present nodes may not be given up; with `exactly`, none may be rented. */
  readonly keeping?: Keeping | undefined;
}

/** Nodes given up at once, at most. */
const NODES_MAX = 3;
/** Share of changes that begin with unmet containers. */
const FROM_UNMET = 0.2;
/** Share of neighbours that hold a class of the node they are next to, maybe in other scenarios. */
const FROM_HOLDERS = 0.4;
/** Nodes looked at for the one that loses most: at the start of a change, and around it. */
const SEEDS_LOOKED_AT = 8;
const NEIGHBOURS_LOOKED_AT = 4;
/** Changes between two questions whether to stop. */
const CHANGES_PER_TURN = 32;
/** So many changes must save this share of the cost, or it ends. */
const CHANGES_PER_WINDOW = 1_000;
const GAIN_FRACTION_MIN = 1e-4;
/** A change that is dearer than the best so far by no more than this share is kept. */
const DEVIATION = 1e-5;

/** Changes the fleet until time is up or changes bring too little. */
export function ruinAndRecreate(fleet: OpenFleet, options: RuinOptions): void {
  const wrecker = new Wrecker(fleet, options);
  let bestUsd = fleet.usd;
  let windowUsd = bestUsd;
  for (let change = 1; ; change += 1) {
    if (change % CHANGES_PER_TURN === 0 && options.isOver()) return;
    if (change % CHANGES_PER_WINDOW === 0) {
      if (windowUsd - bestUsd < GAIN_FRACTION_MIN * bestUsd) return;
      windowUsd = bestUsd;
    }
    fleet.begin();
    recreate(fleet, wrecker.ruin(), { rng: options.rng, mayRent: options.keeping !== "exactly" });
    const { usd } = fleet;
    if (usd > (1 + DEVIATION) * bestUsd || !fleet.obeysShares()) fleet.undo();
    else bestUsd = Math.min(bestUsd, usd);
  }
}

/** Chooses what is given up. */
class Wrecker {
  readonly #fleet: OpenFleet;
  readonly #rng: Rng;
  readonly #keeping: Keeping | undefined;
  readonly #quotasOf: readonly (readonly number[])[];
  /** By quota: groups with an offer under it. */
  readonly #groupsUnder: readonly (readonly number[])[];

  constructor(fleet: OpenFleet, { rng, keeping }: RuinOptions) {
    this.#fleet = fleet;
    this.#rng = rng;
    this.#keeping = keeping;
    const { offers, quotas } = fleet.problem;
    const quotasOf: number[][] = offers.map(() => []);
    this.#groupsUnder = quotas.map(({ offerIndexes }, quota) => {
      for (const index of offerIndexes) quotasOf[index]?.push(quota);
      return [...new Set(offerIndexes.map((index) => offers[index]?.groupIndex ?? -1))];
    });
    this.#quotasOf = quotasOf;
  }

  /** Gives up some nodes; gives the keys of what is to be placed again. */
  ruin(): readonly number[] {
    const unmet = this.#rng.next() < FROM_UNMET ? this.#unmetKey() : undefined;
    const nodes =
      unmet === undefined
        ? this.#around(1 + this.#rng.below(NODES_MAX))
        : this.#inTheWayOf(unmet, this.#rng.below(NODES_MAX));
    const keys = new Set(unmet === undefined ? [] : this.#openKeysLike(unmet));
    for (const node of nodes) for (const key of this.#clear(node)) keys.add(key);
    return [...keys];
  }

  #clear(node: OpenNode): readonly number[] {
    if (!this.#mustStay(node)) return this.#fleet.remove(node);
    return [...node.bins.keys()].flatMap((index) => this.#fleet.empty(node, index));
  }

  #mustStay({ offerIndex }: OpenNode): boolean {
    if (this.#keeping === undefined) return false;
    const present = this.#fleet.problem.offers[offerIndex]?.present ?? 0;
    return this.#fleet.countOf(offerIndex) <= present;
  }

  /** Unmet containers, the likelier the more they lose. */
  #unmetKey(): number | undefined {
    let best: number | undefined;
    let bestUsd = 0;
    for (const key of this.#fleet.openKeys) {
      const { unmetUsd, worthUsd } = this.#fleet.itemOf(key);
      const lossUsd = Math.max(1e-3, unmetUsd - worthUsd);
      const usd = this.#fleet.openAt(key) * lossUsd * this.#rng.next();
      if (usd > bestUsd) [best, bestUsd] = [key, usd];
    }
    return best;
  }

  /** Keys of the same class in all scenarios that leave some of it unmet. */
  #openKeysLike(key: number): readonly number[] {
    const scenarioCount = this.#fleet.problem.probabilities.length;
    const first = this.#fleet.itemOf(key).classIndex * scenarioCount;
    return Array.from({ length: scenarioCount }, (_, index) => first + index).filter(
      (one) => this.#fleet.openAt(one) > 0,
    );
  }

  /** A node that loses much, and some that hold or could hold the same classes. */
  #around(count: number): ReadonlySet<OpenNode> {
    const chosen = new Set<OpenNode>();
    const seed = this.#mostLosing(SEEDS_LOOKED_AT, () => this.#oneOf(this.#fleet.nodes));
    if (!seed) return chosen;
    chosen.add(seed);
    for (let tries = 0; chosen.size < count && tries < 3 * count; tries += 1) {
      const next = this.#neighbourOf(this.#oneOf([...chosen]) ?? seed);
      if (next) chosen.add(next);
    }
    return chosen;
  }

  /** A node that holds a class of this one, or could. */
  #neighbourOf(node: OpenNode): OpenNode | undefined {
    const classIndex = this.#oneOf([...(this.#oneOf(node.bins)?.containers.keys() ?? [])]);
    if (classIndex !== undefined && this.#rng.next() < FROM_HOLDERS) {
      const holder = this.#oneOf(this.#holdersOf(classIndex));
      if (holder) return holder;
    }
    const places = this.#fleet.worth.places[classIndex ?? -1] ?? [];
    return this.#mostLosing(NEIGHBOURS_LOOKED_AT, () => {
      const groupIndex = this.#oneOf(places)?.groupIndex ?? node.groupIndex;
      return this.#oneOf(this.#fleet.nodesOf(groupIndex));
    });
  }

  /** Nodes on which the containers could be, or whose quota they need. */
  #inTheWayOf(key: number, count: number): ReadonlySet<OpenNode> {
    const places = this.#fleet.worth.places[this.#fleet.itemOf(key).classIndex] ?? [];
    const wanted = this.#oneOf(places)?.groupIndex ?? -1;
    const offerIndex = this.#oneOf(this.#fleet.problem.groups[wanted]?.offerIndexes ?? []) ?? -1;
    const quotas = this.#quotasOf[offerIndex] ?? [];
    const chosen = new Set<OpenNode>();
    for (let tries = 0; chosen.size < count && tries < 3 * count; tries += 1) {
      const next = this.#mostLosing(NEIGHBOURS_LOOKED_AT, () => {
        const under = this.#rng.next() < 0.5 ? this.#oneOf(quotas) : undefined;
        const groupIndex =
          under === undefined
            ? this.#oneOf(places)?.groupIndex
            : this.#oneOf(this.#groupsUnder[under] ?? []);
        return this.#oneOf(this.#fleet.nodesOf(groupIndex ?? -1));
      });
      if (next) chosen.add(next);
    }
    return chosen;
  }

  /** Nodes that hold a class in some scenario. */
  #holdersOf(classIndex: number): readonly OpenNode[] {
    return (this.#fleet.worth.places[classIndex] ?? []).flatMap(({ groupIndex }) =>
      this.#fleet
        .nodesOf(groupIndex)
        .filter(({ bins }) => bins.some(({ containers }) => containers.has(classIndex))),
    );
  }

  #mostLosing(count: number, draw: () => OpenNode | undefined): OpenNode | undefined {
    let most: OpenNode | undefined;
    for (let each = 0; each < count; each += 1) {
      const one = draw();
      if (one && (!most || one.lossUsd > most.lossUsd)) most = one;
    }
    return most;
  }

  #oneOf<Item>(items: readonly Item[]): Item | undefined {
    return items.length > 0 ? items[this.#rng.below(items.length)] : undefined;
  }
}
