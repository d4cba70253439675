/**
 * Spot prices: the catalog's price of each type and region, moved by a walk and by hand.
 *
 *     price(zone, t) = base * (1 + spread * u),  u in [-1, 1) a hash of (seed, type, zone, step)
 *     step = floor(t / everyMs)
 *
 * Without a walk all zones have the base price for ever. A price set by hand holds from its
 * instant until the next that is set for the same type and zone. Everything is computed when it
 * is asked for, so that equal seeds and equal times give equal prices.
 */
import { z } from "zod";
import { createRng } from "../../../core/index.ts";

/** How prices move by themselves. */
export interface PriceWalk {
  /** Time between two moves. */
  readonly everyMs: number;
  /** Largest distance from the base price, as a fraction of it, 0..1. */
  readonly spreadFraction: number;
}

/** A price set by hand; an absent zone means all of the region's. */
export interface SpotPriceRule {
  readonly region: string;
  readonly instanceType: string;
  readonly zone?: string;
  /** USD per hour, above 0. */
  readonly usdPerHour: number;
}

/** A price and since when it has held. */
export interface SpotPrice {
  readonly usdPerHour: number;
  readonly sinceMs: number;
}

/** Prices that a history goes through at most, the latest ones. */
const HISTORY_COUNT_MAX = 200;

export interface SpotMarketOptions {
  readonly seed: string;
  /** Since when the base prices hold. */
  readonly openedAtMs: number;
  /** What things cost before anything moves; undefined for what is not sold there. */
  readonly baseUsdPerHour: (place: SpotPlace) => number | undefined;
}

const positive = z.number().positive();

/** The body that sets a price by hand on a cloud whose zones have one price. */
export const regionalPriceSchema = z.strictObject({
  region: z.string().min(1),
  instanceType: z.string().min(1),
  usdPerHour: positive,
});

/** The body that lets prices move. */
export const priceWalkSchema = z.strictObject({
  everyMs: z.number().int().min(1),
  spreadFraction: z.number().min(0).max(1),
});

/** The spot market of one emulator. */
export class SpotMarket {
  readonly #seed: string;
  readonly #openedAtMs: number;
  readonly #baseUsdPerHour: (place: SpotPlace) => number | undefined;
  #walk: PriceWalk | undefined;
  readonly #set = new Map<string, SpotPrice[]>();

  constructor(options: SpotMarketOptions) {
    this.#seed = options.seed;
    this.#openedAtMs = options.openedAtMs;
    this.#baseUsdPerHour = options.baseUsdPerHour;
  }

  /** Lets prices move; absent stops them. */
  setWalk(walk: PriceWalk | undefined): void {
    this.#walk = walk;
  }

  /** Sets a price from `nowMs` on. */
  setPrice({ region, instanceType, zone, usdPerHour }: SpotPriceRule, nowMs: number): void {
    const key = keyOf(region, instanceType, zone ?? "*");
    this.#set.set(key, [...(this.#set.get(key) ?? []), { usdPerHour, sinceMs: nowMs }]);
  }

  /** The price of a type in a zone; undefined where it is not sold. */
  priceAt(place: SpotPlace, atMs: number): SpotPrice | undefined {
    const base = this.#baseUsdPerHour(place);
    if (base === undefined) return undefined;
    const byHand = this.#setAt(place, atMs);
    if (byHand !== undefined) return byHand;
    if (this.#walk === undefined) return { usdPerHour: base, sinceMs: this.#openedAtMs };
    const { everyMs, spreadFraction } = this.#walk;
    const step = Math.floor(atMs / everyMs);
    const rng = createRng(`${this.#seed}/${place.instanceType}/${place.zone}/${step}`);
    const usdPerHour = base * (1 + spreadFraction * (2 * rng.next() - 1));
    return { usdPerHour, sinceMs: step * everyMs };
  }

  /** The prices that held between two instants, the latest first. */
  history(place: SpotPlace, fromMs: number, untilMs: number): readonly SpotPrice[] {
    const prices: SpotPrice[] = [];
    let atMs = untilMs;
    while (prices.length < HISTORY_COUNT_MAX) {
      const price = this.priceAt(place, atMs);
      if (price === undefined) break;
      prices.push(price);
      if (price.sinceMs <= fromMs) break;
      atMs = price.sinceMs - 1;
    }
    return prices;
  }

  #setAt({ region, instanceType, zone }: SpotPlace, atMs: number): SpotPrice | undefined {
    return [zone, "*"]
      .flatMap((one) => this.#set.get(keyOf(region, instanceType, one)) ?? [])
      .filter(({ sinceMs }) => sinceMs <= atMs)
      .reduce<SpotPrice | undefined>(
        (latest, one) => (latest === undefined || one.sinceMs >= latest.sinceMs ? one : latest),
        undefined,
      );
  }
}

/** Where a price holds. */
export interface SpotPlace {
  readonly region: string;
  readonly instanceType: string;
  readonly zone: string;
}

function keyOf(region: string, instanceType: string, zone: string): string {
  return `${region}/${instanceType}/${zone}`;
}
