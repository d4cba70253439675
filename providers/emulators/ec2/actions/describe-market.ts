/** DescribeInstanceTypeOfferings and DescribeSpotPriceHistory: the catalog on EC2's wire. */
import { typesSold } from "../market.ts";
import { Ec2Error } from "../ec2-error.ts";
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

/**
 * The prices of each type and zone between `StartTime` and `EndTime`, the latest first; a start
 * of now, or none, gives the present ones.
 */
export const describeSpotPriceHistory: ActionHandler = (world, { region, params }) => {
  const types = listOf(params, "InstanceType");
  const products = listOf(params, "ProductDescription");
  const zone = params.get("AvailabilityZone");
  const nowMs = world.clock.nowMs();
  const untilMs = Math.min(nowMs, timeOf(params, "EndTime") ?? nowMs);
  const fromMs = timeOf(params, "StartTime") ?? untilMs;
  const sold = products.length > 0 && !products.includes(PRODUCT) ? [] : typesSold(region, "spot");
  const rows = sold
    .filter((instanceType) => types.length === 0 || types.includes(instanceType))
    .flatMap((instanceType) =>
      zonesOf(region)
        .filter((availabilityZone) => (zone ?? availabilityZone) === availabilityZone)
        .flatMap((availabilityZone) =>
          world.spot
            .history({ region, instanceType, zone: availabilityZone }, fromMs, untilMs)
            .map((price) => ({ instanceType, availabilityZone, ...price })),
        ),
    );
  const page = pageByPosition(rows, params);
  return {
    spotPriceHistorySet: page.items.map((row) => ({
      instanceType: row.instanceType,
      productDescription: PRODUCT,
      spotPrice: row.usdPerHour.toFixed(6),
      timestamp: new Date(row.sinceMs).toISOString(),
      availabilityZone: row.availabilityZone,
    })),
    nextToken: page.nextToken ?? "",
  };
};

/** @throws Ec2Error for what is no time. */
function timeOf(params: QueryParams, name: string): number | undefined {
  const text = params.get(name);
  if (text === undefined) return undefined;
  const atMs = Date.parse(text);
  if (Number.isFinite(atMs)) return atMs;
  throw new Ec2Error("InvalidParameterValue", `Value (${text}) for parameter ${name} is invalid.`);
}

function pageByPosition<T>(rows: readonly T[], params: QueryParams): Page<T> {
  const page = pageOf([...rows.entries()], params, ([position]) => position);
  return { ...page, items: page.items.map(([, row]) => row) };
}
