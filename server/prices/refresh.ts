/** Reads the price lists of clouds and says what of them is believed; writes nothing. */
import type { CloudName, MicroUsd } from "../../core/index.ts";
import {
  catalogOffers,
  catalogRegions,
  catalogShapes,
  type PriceSheet,
} from "../../providers/index.ts";
import {
  priceKey,
  readAwsPrices,
  readAzurePrices,
  readGcpPrices,
  reviewSheet,
  type HeldPrice,
  type PriceChange,
  type PricedCloud,
  type PriceReaderContext,
  type PriceReading,
  type PriceQuery,
  type ReadFailure,
} from "../../providers/prices/index.ts";
import type { PriceSources } from "../config.ts";

export interface RefreshOptions {
  readonly clouds: readonly PricedCloud[];
  /** A cloud without means every region of its list; AWS, those that the catalog has. */
  readonly regions: Readonly<Partial<Record<PricedCloud, readonly string[]>>>;
  readonly sources: PriceSources;
  /** What is in force now. */
  readonly known: readonly PriceSheet[];
  /** Whether somebody has looked at the prices that were held back. */
  readonly acceptsJumps: boolean;
  readonly context: PriceReaderContext;
}

/** A region whose prices were read and believed. */
export interface RefreshedRegion {
  readonly sheet: PriceSheet;
  readonly changes: readonly PriceChange[];
  readonly held: readonly HeldPrice[];
  readonly gone: readonly string[];
}

/** What could not be read, or is not believed: the last prices of it stay in force. */
export interface KeptPart {
  /** Such as `aws us-east-1`. */
  readonly what: string;
  readonly reason: string;
}

export interface RefreshOutcome {
  /** What is to be in force from now on: new sheets, and the last ones of all else. */
  readonly sheets: readonly PriceSheet[];
  readonly regions: readonly RefreshedRegion[];
  readonly kept: readonly KeptPart[];
}

/** Reads all clouds at once; a failure of one leaves the others as they are. */
export async function refreshPrices(options: RefreshOptions): Promise<RefreshOutcome> {
  const readings = await Promise.all(options.clouds.map((cloud) => readCloud(cloud, options)));
  const regions: RefreshedRegion[] = [];
  const kept = readings.flatMap(({ failures }) => failures).map(keptOf);
  for (const read of readings.flatMap(({ sheets }) => sheets)) {
    const { cloud, region } = read.sheet;
    const known = {
      sheet: options.known.find((sheet) => sheet.cloud === cloud && sheet.region === region),
      builtIn: builtInPrices(cloud, region),
    };
    const review = reviewSheet(read, known, options.acceptsJumps);
    if (review.kind === "accepted") regions.push(review);
    else kept.push({ what: `${cloud} ${region}`, reason: review.reason });
  }
  const renewed = new Set(regions.map(({ sheet }) => `${sheet.cloud}/${sheet.region}`));
  const rest = options.known.filter(({ cloud, region }) => !renewed.has(`${cloud}/${region}`));
  return { sheets: [...rest, ...regions.map(({ sheet }) => sheet)], regions, kept };
}

function readCloud(
  cloud: PricedCloud,
  { regions: regionsByCloud, sources, context }: RefreshOptions,
): Promise<PriceReading> {
  const shapes = catalogShapes(cloud);
  const regions = regionsByCloud[cloud];
  const query: PriceQuery = { shapes, ...(regions === undefined ? {} : { regions }) };
  const { awsUrl, awsSpotUrl, gcpUrl, gcpKey, azureUrl } = sources;
  switch (cloud) {
    case "aws": {
      const endpoints = {
        ...(awsUrl === undefined ? {} : { priceListUrl: awsUrl }),
        ...(awsSpotUrl === undefined ? {} : { spotAdvisorUrl: awsSpotUrl }),
      };
      const named = { shapes, regions: regions ?? catalogRegions("aws") };
      return readAwsPrices(named, endpoints, context);
    }
    case "gcp": {
      const endpoints = {
        ...(gcpUrl === undefined ? {} : { billingUrl: gcpUrl }),
        ...(gcpKey === undefined ? {} : { apiKey: gcpKey }),
      };
      return readGcpPrices(query, endpoints, context);
    }
    case "azure": {
      const endpoints = azureUrl === undefined ? {} : { retailPricesUrl: azureUrl };
      return readAzurePrices(query, endpoints, context);
    }
  }
}

function keptOf({ what, error }: ReadFailure): KeptPart {
  return { what, reason: error.message };
}

/** The catalog's own prices of a region, by key; zones of a region have the same ones. */
function builtInPrices(cloud: CloudName, region: string): ReadonlyMap<string, MicroUsd> {
  const offers = catalogOffers({ cloud, regions: [region], emulated: false });
  return new Map(
    offers.flatMap(({ instanceType, purchase, priceMicroUsdPerHour }) => {
      if (purchase === "reserved") return [];
      return [[priceKey({ instanceType, purchase }), priceMicroUsdPerHour] as const];
    }),
  );
}
