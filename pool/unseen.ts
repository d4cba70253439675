/**
 * Places whose machines cannot be listed, while the rest of their cloud can: regions and zones
 * that fail alone. What is there is unknown; nothing is concluded from it and nothing rented.
 *
 * Pure: memories are values.
 */
import type { CloudName, Offer } from "../core/index.ts";
import type { UnseenPlace } from "../providers/index.ts";

/** A place of a cloud that its last listing did not see. */
export interface UnseenRegion extends UnseenPlace {
  readonly cloud: CloudName;
  /** Since when no listing has seen it. */
  readonly sinceMs: number;
}

/** The places of one cloud after a listing; those that were unseen before keep their time. */
export function unseenAfter(
  before: readonly UnseenRegion[],
  listed: { readonly cloud: CloudName; readonly unseen: readonly UnseenPlace[] },
  nowMs: number,
): readonly UnseenRegion[] {
  const { cloud, unseen } = listed;
  const sinceMs = new Map(before.map((place) => [placeKey(place), place.sinceMs]));
  return unseen.map((place) => ({
    ...place,
    cloud,
    sinceMs: sinceMs.get(placeKey(place)) ?? nowMs,
  }));
}

/** Places that are unseen now and were not before. */
export function newlyUnseen(
  before: readonly UnseenRegion[],
  after: readonly UnseenRegion[],
): readonly UnseenRegion[] {
  const known = new Set(before.map(placeKey));
  return after.filter((place) => !known.has(placeKey(place)));
}

/**
 * The unseen place that machines by an offer may be in, if any; with several, the one that has
 * been unseen for longest. An offer that leaves the zone to its provider may lead to any of the
 * region.
 */
export function unseenPlaceOf(
  unseen: readonly UnseenRegion[],
  { cloud, region, zone }: Pick<Offer, "cloud" | "region" | "zone">,
): UnseenRegion | undefined {
  return unseen
    .filter((place) => place.cloud === cloud && place.region === region)
    .filter((place) => place.zone === undefined || zone === undefined || place.zone === zone)
    .toSorted((one, other) => one.sinceMs - other.sinceMs)[0];
}

/** `us-east-1`, or `us-central1-a` where only the zone is meant. */
export function placeNameOf({ region, zone }: Pick<UnseenPlace, "region" | "zone">): string {
  return zone ?? region;
}

function placeKey({ region, zone = "" }: UnseenPlace): string {
  return `${region} ${zone}`;
}
