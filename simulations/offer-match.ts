import type { Offer } from "../core/index.ts";
import type { OfferMatch } from "./world.ts";

/** Whether an offer agrees with every field that a match gives; one without fields fits all. */
export function isMatch(offer: Offer, match: OfferMatch): boolean {
  const { cloud, region, zone, gpuType, purchase } = match;
  return (
    (cloud === undefined || cloud === offer.cloud) &&
    (region === undefined || region === offer.region) &&
    (zone === undefined || zone === offer.zone) &&
    (gpuType === undefined || gpuType === offer.gpuType) &&
    (purchase === undefined || purchase === offer.purchase)
  );
}
