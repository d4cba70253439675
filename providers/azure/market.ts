/**
 * Offers that Azure's own list of sizes allows: where a size is, in which zones, and whether
 * this subscription may have it.
 *
 * The list says nothing of capacity; it changes by the week, so it is kept for an hour, and the
 * last one is used for a day when no newer can be had.
 */
import type { ResourceSku } from "@azure/arm-compute";
import { offerIdOf, type Clock, type Offer } from "../../core/index.ts";
import type { AzureCalls } from "./calls.ts";
import { platformErrorOf } from "./translate.ts";

/** Where a size can be had in one region. */
interface Availability {
  /** In ascending order; empty where the region has no zones for it. */
  readonly zones: readonly string[];
}

interface RegionSkus {
  readonly bySize: ReadonlyMap<string, Availability>;
  readonly listedAtMs: number;
}

/** How long a list of sizes is taken for true, and how long in need. */
const FRESH_MS = 3_600_000;
const AGE_MS_MAX = 24 * 3_600_000;

/** The lists of sizes of all regions, as they were last seen. */
export class SkuShelf {
  readonly #calls: AzureCalls;
  readonly #clock: Clock;
  readonly #regions = new Map<string, RegionSkus>();

  constructor(calls: AzureCalls, clock: Clock) {
    this.#calls = calls;
    this.#clock = clock;
  }

  /**
   * The offers that a subscription may rent by, each for one zone where there are zones,
   * sorted by `offerId`.
   *
   * @throws PlatformError when a region's list was never read, or not within a day.
   */
  async allowed(offers: readonly Offer[]): Promise<readonly Offer[]> {
    const regions = [...new Set(offers.map(({ region }) => region))];
    const lists = await Promise.all(
      regions.map(async (region) => [region, await this.#skusOf(region)] as const),
    );
    const byRegion = new Map(lists);
    return offers
      .flatMap((offer) => {
        const found = byRegion.get(offer.region)?.bySize.get(offer.instanceType.toLowerCase());
        return found === undefined ? [] : inZones(offer, found.zones);
      })
      .sort((one, other) => (one.offerId < other.offerId ? -1 : 1));
  }

  async #skusOf(region: string): Promise<RegionSkus> {
    const known = this.#regions.get(region);
    const nowMs = this.#clock.nowMs();
    if (known !== undefined && nowMs - known.listedAtMs < FRESH_MS) return known;
    try {
      const skus = await this.#calls.listSkus(region);
      const listed = { bySize: availabilities(skus, region), listedAtMs: nowMs };
      this.#regions.set(region, listed);
      return listed;
    } catch (error) {
      if (known !== undefined && nowMs - known.listedAtMs < AGE_MS_MAX) return known;
      throw platformErrorOf(error, `list the sizes of ${region}`, { region });
    }
  }
}

function inZones({ offerId: _regional, ...offer }: Offer, zones: readonly string[]): Offer[] {
  if (zones.length === 0) return [{ offerId: offerIdOf(offer), ...offer }];
  return zones.map((zone) => {
    const zonal = { ...offer, zone };
    return { offerId: offerIdOf(zonal), ...zonal };
  });
}

function availabilities(
  skus: readonly ResourceSku[],
  region: string,
): ReadonlyMap<string, Availability> {
  return new Map(
    skus
      .filter(({ resourceType }) => resourceType === "virtualMachines")
      .flatMap((sku) => {
        const found = availabilityOf(sku, region);
        return found === undefined ? [] : [[(sku.name ?? "").toLowerCase(), found] as const];
      }),
  );
}

/** Undefined when this subscription may not have the size in the region. */
function availabilityOf(
  { locationInfo = [], restrictions = [] }: ResourceSku,
  region: string,
): Availability | undefined {
  if (restrictions.some(({ type }) => type === "Location")) return undefined;
  const info = locationInfo.find(({ location }) => location?.toLowerCase() === region);
  const shut = new Set(
    restrictions
      .filter(({ type }) => type === "Zone")
      .flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []),
  );
  const zones = info?.zones ?? [];
  const open = zones.filter((zone) => !shut.has(zone)).sort();
  // A size with zones, all of which are shut, cannot be had at all.
  return zones.length > 0 && open.length === 0 ? undefined : { zones: open };
}
