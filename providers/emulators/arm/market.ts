/** What the emulated Azure sells where: the built-in catalog. */
import { catalogOffers, instanceShape, type InstanceShape } from "../../catalog/index.ts";

const SIZES_BY_REGION: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  [...Map.groupBy(catalogOffers({ cloud: "azure", emulated: true }), ({ region }) => region)].map(
    ([region, offers]) => [region, new Set(offers.map((offer) => offer.instanceType))],
  ),
);

/** Whether a region has a size at all. */
export function isSold(region: string, instanceType: string): boolean {
  return SIZES_BY_REGION.get(region)?.has(instanceType) ?? false;
}

/** The sizes of a region, in ascending order. */
export function shapesSold(region: string): readonly InstanceShape[] {
  return [...(SIZES_BY_REGION.get(region) ?? [])]
    .sort()
    .flatMap((instanceType) => instanceShape("azure", instanceType) ?? []);
}
