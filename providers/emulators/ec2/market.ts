/** What the emulated cloud sells where, and at what price: the built-in catalog. */
import { usdFromMicroUsd, type Offer } from "../../../core/index.ts";
import { catalogOffers } from "../../catalog/index.ts";
import type { Market } from "./instance.ts";

const OFFERS: ReadonlyMap<string, Offer> = new Map(
  catalogOffers({ cloud: "aws", emulated: true }).map((offer) => [
    `${offer.region}/${offer.instanceType}/${offer.purchase}`,
    offer,
  ]),
);

/** USD per hour; undefined where the type is not sold on that market. */
export function priceUsdPerHour(
  region: string,
  instanceType: string,
  market: Market,
): number | undefined {
  const offer = OFFERS.get(`${region}/${instanceType}/${market}`);
  return offer === undefined ? undefined : usdFromMicroUsd(offer.priceMicroUsdPerHour);
}

/** The instance types sold in a region on a market, in ascending order. */
export function typesSold(region: string, market: Market): readonly string[] {
  return [...OFFERS.values()]
    .filter((offer) => offer.region === region && offer.purchase === market)
    .map(({ instanceType }) => instanceType)
    .sort();
}
