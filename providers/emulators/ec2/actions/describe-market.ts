/** DescribeInstanceTypeOfferings and DescribeSpotPriceHistory: the catalog on EC2's wire. */
import { typesSold, priceUsdPerHour } from "../market.ts";
import { pageOf, type Page } from "../paging.ts";
import { listOf, type QueryParams } from "../query.ts";
import { zonesOf, type ActionHandler } from "../world.ts";
import { applyFilters, type FilterTexts } from "./filters.ts";

interface Offering {
  readonly instanceType: string;
  readonly location: string;
}

const OFFERING_FILTERS = new Map<string, FilterTexts<Offering>>([
  ["instance-type", ({ instanceType }) => [instanceType]],
  ["location", ({ location }) => [location]],
]);

/** By region, or by zone when `LocationType` is `availability-zone`. */
export const describeInstanceTypeOfferings: ActionHandler = (_world, { region, params }) => {
  const locationType = params.get("LocationType") ?? "region";
  const locations = locationType === "availability-zone" ? zonesOf(region) : [region];
  const offerings = typesSold(region, "on-demand").flatMap((instanceType) =>
    locations.map((location) => ({ instanceType, location })),
  );
  const filtered = applyFilters(offerings, params, (name) => OFFERING_FILTERS.get(name));
  const page = pageByPosition(filtered, params);
  return {
    instanceTypeOfferingSet: page.items.map(({ instanceType, location }) => ({
      instanceType,
      locationType,
      location,
    })),
    nextToken: page.nextToken,
  };
};

const PRODUCT = "Linux/UNIX";

/** One price per type and zone: the present one, the same in all zones of a region. */
export const describeSpotPriceHistory: ActionHandler = (world, { region, params }) => {
  const types = listOf(params, "InstanceType");
  const products = listOf(params, "ProductDescription");
  const zone = params.get("AvailabilityZone");
  const sold = products.length > 0 && !products.includes(PRODUCT) ? [] : typesSold(region, "spot");
  const rows = sold
    .filter((instanceType) => types.length === 0 || types.includes(instanceType))
    .flatMap((instanceType) =>
      zonesOf(region)
        .filter((availabilityZone) => (zone ?? availabilityZone) === availabilityZone)
        .map((availabilityZone) => ({ instanceType, availabilityZone })),
    );
  const page = pageByPosition(rows, params);
  const timestamp = new Date(world.clock.nowMs()).toISOString();
  return {
    spotPriceHistorySet: page.items.map(({ instanceType, availabilityZone }) => ({
      instanceType,
      productDescription: PRODUCT,
      spotPrice: (priceUsdPerHour(region, instanceType, "spot") ?? 0).toFixed(6),
      timestamp,
      availabilityZone,
    })),
    nextToken: page.nextToken ?? "",
  };
};

function pageByPosition<T>(rows: readonly T[], params: QueryParams): Page<T> {
  const page = pageOf([...rows.entries()], params, ([position]) => position);
  return { ...page, items: page.items.map(([, row]) => row) };
}
