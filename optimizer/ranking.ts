/**
 * Offers that may serve a class, by what they cost to hold its containers: a line of a plan says
 * where its offer stands among them and which one would have been next.
 */
import type { Offer } from "../core/index.ts";
import { nodeCosts } from "./costs.ts";
import { mayServeThere } from "./eligibility.ts";
import { fitCount, roomOf, type NodeRoom } from "./packing.ts";
import type { Problem } from "./problem.ts";

/** A class and how many of its containers are to be held. */
export interface Ranked {
  readonly classIndex: number;
  readonly quantity: number;
}

/** Where an offer stands, and what would come next. */
export interface Standing {
  /** Offers that hold the containers at a lower price; equal ones count in the order listed. */
  readonly cheaperCount: number;
  /** Offers that may serve the class. */
  readonly offerCount: number;
  readonly nextBest: Offer | undefined;
}

interface Priced {
  readonly offer: Offer;
  readonly usdPerNode: number;
  readonly room: NodeRoom;
}

interface Suitable extends Priced {
  /** Containers on one node, at least 1. */
  readonly fit: number;
}

/** Ranks offers. Cost: all offers of the GPU types of a class, once for each class asked about. */
export class Ranking {
  readonly #problem: Problem;
  /** Listed offers, then those of present nodes that are listed no more; by GPU type. */
  readonly #byGpuType: ReadonlyMap<string | undefined, readonly Priced[]>;
  readonly #suitable = new Map<number, readonly Suitable[]>();

  constructor(problem: Problem) {
    this.#problem = problem;
    const { input, offers } = problem;
    const listed = new Set(input.offers.map((offer) => offer.offerId));
    const unlisted = offers.flatMap(({ offer }) => (listed.has(offer.offerId) ? [] : [offer]));
    const priced = [...input.offers, ...unlisted].map((offer) => {
      const { rentUsd, reclaimUsd } = nodeCosts(offer, input.policy);
      return { offer, usdPerNode: rentUsd + reclaimUsd, room: roomOf(offer.resources) };
    });
    this.#byGpuType = Map.groupBy(priced, ({ offer }) => offer.gpuType);
  }

  /** @param isOpen Whether nodes of an offer that the plan does not use could be had. */
  standingOf(
    offer: Offer,
    { classIndex, quantity }: Ranked,
    isOpen: (offerId: string) => boolean,
  ): Standing {
    const suitable = this.#suitableFor(classIndex);
    const usdOf = ({ usdPerNode, fit }: Suitable): number => usdPerNode * Math.ceil(quantity / fit);
    const own = suitable.findIndex((one) => one.offer.offerId === offer.offerId);
    const ownEntry = suitable[own];
    const ownUsd = ownEntry ? usdOf(ownEntry) : Infinity;
    let cheaperCount = 0;
    let nextBest: Offer | undefined;
    let nextUsd = Infinity;
    for (const [index, one] of suitable.entries()) {
      const usd = usdOf(one);
      if (usd < ownUsd || (usd === ownUsd && index < own)) cheaperCount += 1;
      if (usd >= nextUsd || !isOpen(one.offer.offerId)) continue;
      [nextBest, nextUsd] = [one.offer, usd];
    }
    return { cheaperCount, offerCount: suitable.length, nextBest };
  }

  #suitableFor(classIndex: number): readonly Suitable[] {
    const known = this.#suitable.get(classIndex);
    if (known) return known;
    const { classes, input } = this.#problem;
    const entry = classes[classIndex];
    if (!entry) return [];
    const { gpu } = entry.demand.needs;
    const types = gpu === undefined ? [...this.#byGpuType.keys()] : gpu.types;
    const suitable = types
      .flatMap((type) => this.#byGpuType.get(type) ?? [])
      .flatMap((priced) => {
        if (!mayServeThere(priced.offer, entry.demand.needs, input.policy)) return [];
        const fit = fitCount(priced.room, entry.needs);
        return fit >= 1 ? [{ ...priced, fit }] : [];
      });
    this.#suitable.set(classIndex, suitable);
    return suitable;
  }
}
