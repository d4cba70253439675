/** Google Cloud prices: the SKUs of Compute Engine, page by page. */
import { PlatformError } from "../../core/index.ts";
import { notUsable } from "./download.ts";
import { composePrices, parseSkuPage, type PartPrice } from "./gcp-skus.ts";
import { dayOf, type PriceQuery, type PriceReaderContext, type PriceReading } from "./reading.ts";

/** Where Google Cloud publishes, and the key that it asks for. */
export interface GcpPriceEndpoints {
  /** `DEFAULT_GCP_PRICE_URL` when absent. */
  readonly billingUrl?: string;
  /** An API key of any project with the Cloud Billing API. */
  readonly apiKey?: string;
}

/** Source: Cloud Billing API reference (read 2026-11). */
export const DEFAULT_GCP_PRICE_URL = "https://cloudbilling.googleapis.com";

/** Compute Engine among the services of the API. Source: cloud.google.com/skus (read 2026-11). */
const COMPUTE_ENGINE = "6F81-5844-456A";
const PAGE_SIZE = 5_000;
/** Guards against a server that pages for ever. */
const PAGE_COUNT_MAX = 100;

/** Reads the whole list: it has all regions at once, and is of use only when complete. */
export async function readGcpPrices(
  query: PriceQuery,
  endpoints: GcpPriceEndpoints,
  context: PriceReaderContext,
): Promise<PriceReading> {
  try {
    const prices = composePrices(await readSkus(endpoints, context), query.shapes);
    const readAtMs = context.nowMs();
    const source = `Google Cloud SKUs of ${dayOf(readAtMs)}`;
    const sheets = [...prices]
      .filter(([region]) => query.regions?.includes(region) ?? true)
      .map(([region, ofRegion]) => ({
        sheet: { cloud: "gcp" as const, region, source, readAtMs, prices: ofRegion },
        covers: ["on-demand", "spot"] as const,
      }));
    return { cloud: "gcp", sheets, failures: [] };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    return { cloud: "gcp", sheets: [], failures: [{ what: "gcp", error }] };
  }
}

async function readSkus(
  { billingUrl = DEFAULT_GCP_PRICE_URL, apiKey }: GcpPriceEndpoints,
  { downloads, onProgress }: PriceReaderContext,
): Promise<readonly PartPrice[]> {
  const what = "the list of Google Cloud's SKUs";
  if (apiKey === undefined) {
    throw new PlatformError(
      `cannot read ${what} without an API key: make one in a project with the Cloud Billing API ` +
        "(console.cloud.google.com/apis/credentials) and set FLOTILLA_GCP_PRICE_KEY",
      { code: "auth_failed", retryable: false },
    );
  }
  const skus: PartPrice[] = [];
  const url = new URL(`${billingUrl.replace(/\/+$/, "")}/v1/services/${COMPUTE_ENGINE}/skus`);
  url.searchParams.set("pageSize", String(PAGE_SIZE));
  url.searchParams.set("currencyCode", "USD");
  // In a header, since addresses end up in logs.
  const headers = { "x-goog-api-key": apiKey };
  for (let page = 1; page <= PAGE_COUNT_MAX; page += 1) {
    onProgress(`reading ${what}, page ${page}`);
    const { skus: ofPage, nextPageToken } = parseSkuPage(
      await downloads.json({ url, what, headers }),
    );
    skus.push(...ofPage);
    if (nextPageToken === undefined) return skus;
    url.searchParams.set("pageToken", nextPageToken);
  }
  throw notUsable({ url, what }, `it has more than ${PAGE_COUNT_MAX} pages`);
}
