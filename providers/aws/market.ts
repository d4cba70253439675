/**
 * What a region sells now: spot prices by type and zone, and the zones that have each type.
 *
 * Both are kept when EC2 does not answer: prices for a day, zones for a week. A spot offer is one
 * zone at its price; on-demand offers leave the zone to EC2, as their price is the same in all.
 */
import { MS_PER_HOUR, MS_PER_MINUTE, microUsdFromUsd, offerIdOf } from "../../core/index.ts";
import type { Clock, Offer } from "../../core/index.ts";
import { CachedValue, type Dated } from "../cached-value.ts";
import type { Ec2Calls } from "./calls.ts";
import { foreignAnswer, platformErrorOf } from "./translate.ts";

/** USD per hour by zone, by type. */
export type SpotPrices = ReadonlyMap<string, ReadonlyMap<string, number>>;

/** Zones by type, in ascending order. */
export type TypeZones = ReadonlyMap<string, readonly string[]>;

const PRICE_TTL_MS = 5 * MS_PER_MINUTE;
const PRICE_KEEP_MS = 24 * MS_PER_HOUR;
const ZONE_TTL_MS = 24 * MS_PER_HOUR;
const ZONE_KEEP_MS = 7 * 24 * MS_PER_HOUR;
const RETRY_MS = MS_PER_MINUTE;

/** Guards against a server that pages for ever. */
const PAGE_COUNT_MAX = 100;
const PAGE_SIZE = 1_000;
const PRODUCT = "Linux/UNIX";

/** The market of one region. */
export class RegionMarket {
  readonly #prices: CachedValue<SpotPrices>;
  readonly #zones: CachedValue<TypeZones>;

  constructor(calls: Ec2Calls, clock: Clock) {
    this.#prices = new CachedValue({
      clock,
      load: () => loadPrices(calls, new Date(clock.nowMs())),
      ttlMs: PRICE_TTL_MS,
      keepMs: PRICE_KEEP_MS,
      retryMs: RETRY_MS,
    });
    this.#zones = new CachedValue({
      clock,
      load: () => loadZones(calls),
      ttlMs: ZONE_TTL_MS,
      keepMs: ZONE_KEEP_MS,
      retryMs: RETRY_MS,
    });
  }

  /** The catalog's offers of this region, as they are sold now. */
  async priced(catalog: readonly Offer[]): Promise<readonly Offer[]> {
    const [prices, zones] = await Promise.all([this.#prices.get(), this.#zones.get()]);
    return catalog.flatMap((offer) => offersNow(offer, prices, zones?.value));
  }

  /** Resolves when nothing is being loaded. */
  async settled(): Promise<void> {
    await Promise.all([this.#prices.settled(), this.#zones.settled()]);
  }
}

/**
 * The offers that a catalog offer stands for now: itself, its zones, or none where no zone has
 * the type. While no price is known the catalog's own serves.
 */
export function offersNow(
  offer: Offer,
  prices: Dated<SpotPrices> | undefined,
  zones: TypeZones | undefined,
): readonly Offer[] {
  const { instanceType } = offer;
  if (zones !== undefined && !zones.has(instanceType)) return [];
  if (offer.purchase !== "spot" || prices === undefined) return [offer];
  const here = [...(prices.value.get(instanceType) ?? [])]
    .filter(([zone]) => zones === undefined || zones.get(instanceType)?.includes(zone))
    .map(([zone, usdPerHour]) => {
      const priceMicroUsdPerHour = microUsdFromUsd(usdPerHour);
      const zoned = { ...offer, zone, priceMicroUsdPerHour, pricedAtMs: prices.atMs };
      return { ...zoned, offerId: offerIdOf(zoned) };
    });
  return here.length > 0 ? here : [offer];
}

async function loadPrices(calls: Ec2Calls, now: Date): Promise<SpotPrices> {
  const attempted = `read spot prices of ${calls.region}`;
  const prices = new Map<string, Map<string, number>>();
  await eachPage(calls, attempted, async (NextToken) => {
    const output = await calls.describeSpotPriceHistory({
      StartTime: now,
      ProductDescriptions: [PRODUCT],
      MaxResults: PAGE_SIZE,
      ...(NextToken === undefined ? {} : { NextToken }),
    });
    for (const price of output.SpotPriceHistory ?? []) {
      const { InstanceType = "", AvailabilityZone = "", SpotPrice } = price;
      const usdPerHour = Number(SpotPrice);
      const ofType = prices.get(InstanceType) ?? new Map<string, number>();
      // The latest comes first. What is no price is left out: nothing is for free.
      if (!(usdPerHour > 0) || ofType.has(AvailabilityZone)) continue;
      prices.set(InstanceType, ofType.set(AvailabilityZone, usdPerHour));
    }
    return { isAnswer: output.SpotPriceHistory !== undefined, nextToken: output.NextToken };
  });
  return prices;
}

async function loadZones(calls: Ec2Calls): Promise<TypeZones> {
  const attempted = `read which zones of ${calls.region} have which types`;
  const zones = new Map<string, string[]>();
  await eachPage(calls, attempted, async (NextToken) => {
    const output = await calls.describeInstanceTypeOfferings({
      LocationType: "availability-zone",
      MaxResults: PAGE_SIZE,
      ...(NextToken === undefined ? {} : { NextToken }),
    });
    for (const { InstanceType, Location } of output.InstanceTypeOfferings ?? []) {
      if (InstanceType === undefined || Location === undefined) continue;
      zones.set(InstanceType, [...(zones.get(InstanceType) ?? []), Location].sort());
    }
    return { isAnswer: output.InstanceTypeOfferings !== undefined, nextToken: output.NextToken };
  });
  return zones;
}

interface PageEnd {
  /** Whether the answer was EC2's: a foreign 200 parses to an empty one. */
  readonly isAnswer: boolean;
  readonly nextToken: string | undefined;
}

async function eachPage(
  { region }: Ec2Calls,
  attempted: string,
  readPage: (nextToken: string | undefined) => Promise<PageEnd>,
): Promise<void> {
  const details = { region };
  let token: string | undefined;
  for (let page = 0; page < PAGE_COUNT_MAX; page += 1) {
    const { isAnswer, nextToken } = await readPage(token).catch((error: unknown) => {
      throw platformErrorOf(error, attempted, details);
    });
    if (!isAnswer) throw foreignAnswer(attempted, details);
    if (nextToken === undefined || nextToken === "") return;
    token = nextToken;
  }
  throw foreignAnswer(attempted, details);
}
