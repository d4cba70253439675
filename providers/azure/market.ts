/**
 * Offers that Azure's own lists allow: where a size is, in which zones, whether this
 * subscription may have it, and how many its quotas allow.
 *
 * The list of sizes says nothing of capacity and changes by the week, so it is kept for an hour,
 * and for a day when no newer can be had. Without a list of quotas nothing is bounded.
 */
import type { ResourceSku, Usage } from "@azure/arm-compute";
import { MS_PER_HOUR, MS_PER_MINUTE, offerIdOf, type Clock, type Offer } from "../../core/index.ts";
import { CachedValue } from "../cached-value.ts";
import { instanceShape } from "../catalog/index.ts";
import type { AzureCalls } from "./calls.ts";
import { foreignAnswer, platformErrorOf } from "./translate.ts";

/** Where a size can be had in one region. */
interface Availability {
  /** In ascending order; empty where the region has no zones for it. */
  readonly zones: readonly string[];
}

type Sizes = ReadonlyMap<string, Availability>;
/** Most vCPUs by usage counter. */
type Limits = ReadonlyMap<string, number>;

const SIZES_TTL_MS = MS_PER_HOUR;
const LIMITS_TTL_MS = 10 * MS_PER_MINUTE;
const KEEP_MS = 24 * MS_PER_HOUR;
const RETRY_MS = MS_PER_MINUTE;

/** What is known of one region. */
export class RegionMarket {
  readonly #region: string;
  readonly #sizes: CachedValue<Sizes>;
  readonly #limits: CachedValue<Limits>;
  #failure: unknown;

  constructor(calls: AzureCalls, region: string, clock: Clock) {
    const times = { clock, keepMs: KEEP_MS, retryMs: RETRY_MS };
    this.#region = region;
    this.#sizes = new CachedValue({
      ...times,
      ttlMs: SIZES_TTL_MS,
      load: async () => {
        try {
          return sizesOf(await calls.listSkus(region), region);
        } catch (error) {
          this.#failure = error;
          throw error;
        }
      },
    });
    this.#limits = new CachedValue({
      ...times,
      ttlMs: LIMITS_TTL_MS,
      load: async () => limitsOf(await calls.listUsages(region)),
    });
  }

  /**
   * The offers of the region that the subscription may rent by, each for one zone where there
   * are zones.
   *
   * @throws PlatformError when the list of sizes was never read, or not within a day.
   */
  async allowed(offers: readonly Offer[]): Promise<readonly Offer[]> {
    const [sizes, limits] = await Promise.all([this.#sizes.get(), this.#limits.get()]);
    if (sizes === undefined) {
      const attempted = `list the sizes of ${this.#region}`;
      const failure = this.#failure ?? foreignAnswer(attempted, {});
      throw platformErrorOf(failure, attempted, { region: this.#region });
    }
    return offers.flatMap((offer) => {
      const found = sizes.value.get(offer.instanceType.toLowerCase());
      return found === undefined ? [] : inZones(bounded(offer, limits?.value), found.zones);
    });
  }

  /** Resolves when nothing is being read. */
  async settled(): Promise<void> {
    await Promise.all([this.#sizes.settled(), this.#limits.settled()]);
  }
}

function inZones({ offerId: _regional, ...offer }: Offer, zones: readonly string[]): Offer[] {
  const zonal = zones.length === 0 ? [offer] : zones.map((zone) => ({ ...offer, zone }));
  return zonal.map((one) => ({ offerId: offerIdOf(one), ...one }));
}

/** No more nodes than its quotas allow all of its kind together. */
function bounded(offer: Offer, limits: Limits | undefined): Offer {
  const vcpuCount = instanceShape("azure", offer.instanceType)?.vcpuCount ?? 0;
  const known = offer.quotaGroups.flatMap((group) => limits?.get(usageKey(familyOf(group))) ?? []);
  if (known.length === 0 || vcpuCount === 0) return offer;
  const nodeCountMax = Math.floor(Math.min(...known) / vcpuCount);
  return nodeCountMax < offer.nodeCountMax ? { ...offer, nodeCountMax } : offer;
}

/** The usage counter in `cloud/region/counter/purchase`. */
function familyOf(quotaGroup: string): string {
  return quotaGroup.split("/")[2] ?? "";
}

function limitsOf(usages: readonly Usage[]): Limits {
  return new Map(usages.map(({ name, limit }) => [usageKey(name.value ?? ""), limit]));
}

/** The lists of sizes and of usages differ in case and spaces. */
function usageKey(name: string): string {
  return name.toLowerCase().replaceAll(" ", "");
}

function sizesOf(skus: readonly ResourceSku[], region: string): Sizes {
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
