/**
 * AWS prices: the EC2 price list of each region, and the Spot Advisor for spot machines.
 *
 * A spot price is the on-demand price less the Advisor's saving: a monthly average. A provider
 * that rents from AWS replaces it by the quotes of each zone.
 */
import { messageOf, microUsdFromUsd, PlatformError, usdFromMicroUsd } from "../../core/index.ts";
import type { ListedPrice } from "../catalog/index.ts";
import { readAwsPriceList, type AwsPriceList } from "./aws-price-list.ts";
import { parseSpotAdvisor, type SpotAdvice, type SpotAdvisor } from "./aws-spot-advisor.ts";
import type { PriceQuery, PriceReaderContext, PriceReading, ReadFailure } from "./reading.ts";

/** Where AWS publishes. */
export interface AwsPriceEndpoints {
  /** Of the bulk price lists; `DEFAULT_AWS_PRICE_URL` when absent. */
  readonly priceListUrl?: string;
  /** Of the Spot Advisor's file; `DEFAULT_AWS_SPOT_URL` when absent. */
  readonly spotAdvisorUrl?: string;
}

/** Source: AWS Billing user guide, "Getting price list files manually" (read 2026-11). */
export const DEFAULT_AWS_PRICE_URL = "https://pricing.us-east-1.amazonaws.com";
/** Source: the page of the Spot Advisor (read 2026-11). */
export const DEFAULT_AWS_SPOT_URL =
  "https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json";

/** Lists read at once: each is a long download and a busy parser. */
const REGIONS_AT_ONCE = 2;

/**
 * Reads the regions asked for; without the Spot Advisor, on-demand prices alone.
 *
 * @param query Its regions must be named: AWS has a list for each.
 */
export async function readAwsPrices(
  query: PriceQuery & Required<Pick<PriceQuery, "regions">>,
  endpoints: AwsPriceEndpoints,
  context: PriceReaderContext,
): Promise<PriceReading> {
  const failures: ReadFailure[] = [];
  const instanceTypes = new Set(query.shapes.map(({ instanceType }) => instanceType));
  const advisor = await readAdvisor(endpoints, context).catch((error: unknown) => {
    failures.push({ what: "aws spot", error: platformErrorOf(error) });
    return undefined;
  });
  const lists = new Map<string, AwsPriceList>();
  const waiting = [...new Set(query.regions)].sort();
  const work = async (): Promise<void> => {
    for (let region = waiting.shift(); region !== undefined; region = waiting.shift()) {
      try {
        lists.set(region, await readList({ region, instanceTypes }, endpoints, context));
      } catch (error) {
        failures.push({ what: `aws ${region}`, error: platformErrorOf(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: REGIONS_AT_ONCE }, work));
  const readAtMs = context.nowMs();
  const sheets = [...lists]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([region, { publishedAt, prices }]) => ({
      sheet: {
        cloud: "aws" as const,
        region,
        source: `EC2 price list of ${publishedAt.slice(0, 10) || "an unknown day"}`,
        readAtMs,
        prices: [...prices, ...spotPrices(prices, advisor?.get(region))],
      },
      covers: advisor === undefined ? (["on-demand"] as const) : (["on-demand", "spot"] as const),
    }));
  return { cloud: "aws", sheets, failures };
}

async function readAdvisor(
  { spotAdvisorUrl = DEFAULT_AWS_SPOT_URL }: AwsPriceEndpoints,
  { downloads, onProgress }: PriceReaderContext,
): Promise<SpotAdvisor> {
  const what = "the Spot Advisor's file";
  onProgress(`reading ${what}`);
  return parseSpotAdvisor(await downloads.json({ url: new URL(spotAdvisorUrl), what }));
}

async function readList(
  of: { readonly region: string; readonly instanceTypes: ReadonlySet<string> },
  { priceListUrl = DEFAULT_AWS_PRICE_URL }: AwsPriceEndpoints,
  { downloads, onProgress }: PriceReaderContext,
): Promise<AwsPriceList> {
  const what = `the EC2 price list of ${of.region}`;
  onProgress(`reading ${what}`);
  const path = `/offers/v1.0/aws/AmazonEC2/current/${of.region}/index.csv`;
  const url = new URL(`${priceListUrl.replace(/\/+$/, "")}${path}`);
  return downloads.get({ url, what }, (bytes) => readAwsPriceList(bytes, of));
}

function spotPrices(
  onDemand: readonly ListedPrice[],
  advice: ReadonlyMap<string, SpotAdvice> | undefined,
): readonly ListedPrice[] {
  return onDemand.flatMap(({ instanceType, microUsdPerHour }) => {
    const found = advice?.get(instanceType);
    if (found === undefined) return [];
    const usd = usdFromMicroUsd(microUsdPerHour) * (1 - found.savingFraction);
    const { interruptions } = found;
    const price = { instanceType, microUsdPerHour: microUsdFromUsd(usd), interruptions };
    return [{ ...price, purchase: "spot" as const }];
  });
}

/** Downloads fail with platform errors; anything else is a bug and goes up. */
function platformErrorOf(error: unknown): PlatformError {
  if (error instanceof PlatformError) return error;
  throw error instanceof Error ? error : new Error(messageOf(error));
}
