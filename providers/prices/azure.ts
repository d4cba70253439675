/** Azure prices: the retail prices of the machine sizes that are of use, page by page. */
import { PlatformError } from "../../core/index.ts";
import { parseRetailPage, pricesInForce, type RetailPrice } from "./azure-retail.ts";
import { notUsable } from "./download.ts";
import { dayOf, type PriceQuery, type PriceReaderContext, type PriceReading } from "./reading.ts";

/** Where Azure publishes. */
export interface AzurePriceEndpoints {
  /** `DEFAULT_AZURE_PRICE_URL` when absent. */
  readonly retailPricesUrl?: string;
}

/** Source: Azure REST reference, "Azure Retail Prices overview" (read 2026-11). */
export const DEFAULT_AZURE_PRICE_URL = "https://prices.azure.com/api/retail/prices";

/** Sizes asked for at once: a filter has to fit into an address. */
const SIZES_PER_QUERY = 10;
/** Regions that are named in the filter; of more, all are read and the others left out. */
const REGIONS_IN_FILTER_MAX = 5;
/** Guards against a server that pages for ever. */
const PAGE_COUNT_MAX = 500;

/** Reads the sizes of the shapes, of all regions at once; of use only when complete. */
export async function readAzurePrices(
  query: PriceQuery,
  { retailPricesUrl = DEFAULT_AZURE_PRICE_URL }: AzurePriceEndpoints,
  context: PriceReaderContext,
): Promise<PriceReading> {
  const sizes = query.shapes.map(({ instanceType }) => instanceType).sort();
  const url = new URL(retailPricesUrl);
  const prices: RetailPrice[] = [];
  try {
    for (let start = 0; start < sizes.length; start += SIZES_PER_QUERY) {
      const some = sizes.slice(start, start + SIZES_PER_QUERY);
      const filter = filterOf(some, query.regions);
      prices.push(...(await readAllPages(url, filter, context)));
    }
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { cloud: "azure", sheets: [], failures: [{ what: "azure", error }] };
  }
  const readAtMs = context.nowMs();
  const wanted = prices.filter(
    ({ region, instanceType }) =>
      sizes.includes(instanceType) && (query.regions?.includes(region) ?? true),
  );
  const source = `Azure retail prices of ${dayOf(readAtMs)}`;
  const sheets = [...pricesInForce(wanted, readAtMs)].map(([region, ofRegion]) => ({
    sheet: { cloud: "azure" as const, region, source, readAtMs, prices: ofRegion },
    covers: ["on-demand", "spot"] as const,
  }));
  return { cloud: "azure", sheets, failures: [] };
}

function filterOf(sizes: readonly string[], regions: readonly string[] | undefined): string {
  const anyOf = (field: string, values: readonly string[]): string =>
    `(${values.map((value) => `${field} eq '${value.replaceAll("'", "''")}'`).join(" or ")})`;
  const isNarrow = regions !== undefined && regions.length <= REGIONS_IN_FILTER_MAX;
  return [
    "serviceName eq 'Virtual Machines'",
    "priceType eq 'Consumption'",
    anyOf("armSkuName", sizes),
    ...(isNarrow ? [anyOf("armRegionName", regions)] : []),
  ].join(" and ");
}

async function readAllPages(
  base: URL,
  filter: string,
  { downloads, onProgress }: PriceReaderContext,
): Promise<readonly RetailPrice[]> {
  const what = "Azure's retail prices";
  const prices: RetailPrice[] = [];
  const seen = new Set<string>();
  let url = new URL(base);
  url.searchParams.set("$filter", filter);
  while (seen.size < PAGE_COUNT_MAX && !seen.has(url.search)) {
    seen.add(url.search);
    onProgress(`reading ${what}, page ${seen.size}`);
    const page = parseRetailPage(await downloads.json({ url, what }));
    prices.push(...page.prices);
    if (page.nextPageLink === undefined) return prices;
    url = pageAfter(base, page.nextPageLink);
  }
  throw notUsable({ url, what }, `its pages have no end (${seen.size} were read)`);
}

/** The next page on our own server: a mirror passes on links that lead to Azure's. */
function pageAfter(base: URL, link: string): URL {
  const url = new URL(base);
  url.search = URL.parse(link, base.href)?.search ?? "";
  return url;
}
