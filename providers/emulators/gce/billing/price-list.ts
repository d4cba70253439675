/**
 * The public price list: SKUs of the Cloud Billing catalog, whose Spot prices move.
 *
 *     GET /v1/services/6F81-5844-456A/skus?pageSize=5000&pageToken=...
 *
 * A part (a core, a GiB, a GPU) has one Spot price in a region, and all machine types that have it
 * move with it, as on Google Cloud. Source: Cloud Billing API, `services.skus.list` (read 2026-11).
 */
import { PlatformError, type Clock, type PurchaseOption } from "../../../../core/index.ts";
import { instanceShape } from "../../../catalog/index.ts";
import { jsonAnswer, type WholeAnswer, type WholeRequest } from "../../shared/loopback-server.ts";
import { SpotMarket, type PriceWalk } from "../../shared/spot-market.ts";
import { mainPartOf, partPrices, partsOf } from "./parts.ts";

const PATH = "/v1/services/6F81-5844-456A/skus";
const PAGE_SIZE_MAX = 5_000;
const NANOS = 1e9;
/** On-demand prices do not move; since long before anything here. */
const LISTED_SINCE = "2026-01-01T00:00:00Z";

export interface PriceListOptions {
  readonly clock: Clock;
  readonly seed: string;
  readonly regions: readonly string[];
}

/** A Spot price that a machine type is to have. */
export interface MachinePriceRule {
  readonly region: string;
  readonly instanceType: string;
  readonly usdPerHour: number;
}

/** The price list of one emulator. */
export class PriceList {
  readonly #options: PriceListOptions;
  readonly #base = new Map<string, ReadonlyMap<string, number>>();
  readonly #spot: SpotMarket;

  constructor(options: PriceListOptions) {
    this.#options = options;
    this.#spot = new SpotMarket({
      seed: options.seed,
      openedAtMs: options.clock.nowMs(),
      baseUsdPerHour: ({ region, instanceType: part }) => this.#baseOf(region, "spot").get(part),
    });
  }

  /** Lets Spot prices move by themselves; absent stops them. */
  setWalk(walk: PriceWalk | undefined): void {
    this.#spot.setWalk(walk);
  }

  /**
   * Sets the Spot price of the GPU of a machine type, or of its cores where it has none, so that
   * the whole machine costs so much from now on.
   *
   * @throws PlatformError `invalid_request` for what is not sold there, and for a price below
   *   what the rest of the machine costs.
   */
  setPrice({ region, instanceType, usdPerHour }: MachinePriceRule): void {
    const nowMs = this.#options.clock.nowMs();
    const shape = instanceShape("gcp", instanceType);
    const main = shape === undefined ? undefined : mainPartOf(shape);
    const refuse = (why: string): PlatformError =>
      new PlatformError(`cannot set the price of ${instanceType} in ${region}: ${why}`, {
        code: "invalid_request",
        retryable: false,
        details: { region, instanceType },
      });
    if (
      shape === undefined ||
      main === undefined ||
      this.#spotOf(region, main.name) === undefined
    ) {
      throw refuse("it has no Spot price there");
    }
    const rest = partsOf(shape)
      .filter(({ name }) => name !== main.name)
      .reduce((sum, { name, amount }) => sum + amount * (this.#spotOf(region, name) ?? 0), 0);
    const each = (usdPerHour - rest) / main.amount;
    if (each <= 0) throw refuse(`the rest of the machine costs ${rest.toFixed(4)} already`);
    this.#spot.setPrice({ region, instanceType: main.name, usdPerHour: each }, nowMs);
  }

  /** Answers a request for a page of SKUs; undefined for any other path. */
  answer({ url, method }: WholeRequest): WholeAnswer | undefined {
    if (url.pathname !== PATH) return undefined;
    if (method !== "GET") return errorAnswer(405, "METHOD_NOT_ALLOWED", `${method} ${PATH}`);
    const size = Number(url.searchParams.get("pageSize") ?? PAGE_SIZE_MAX) || PAGE_SIZE_MAX;
    const from = Number(url.searchParams.get("pageToken") ?? 0);
    if (!Number.isInteger(size) || size < 0 || !Number.isInteger(from) || from < 0) {
      return errorAnswer(400, "INVALID_ARGUMENT", "pageSize or pageToken is invalid.");
    }
    const skus = this.#skus();
    const until = from + Math.min(size, PAGE_SIZE_MAX);
    const nextPageToken = until < skus.length ? String(until) : "";
    return jsonAnswer(200, { skus: skus.slice(from, until), nextPageToken });
  }

  #skus(): readonly object[] {
    return this.#options.regions.flatMap((region) => [
      ...[...this.#baseOf(region, "on-demand")].map(([part, usdPerHour]) =>
        skuOf({ part, region, usdPerHour, purchase: "on-demand", since: LISTED_SINCE }),
      ),
      ...[...this.#baseOf(region, "spot").keys()].flatMap((part) => {
        const price = this.#spotPriceOf(region, part);
        if (price === undefined) return [];
        const { usdPerHour, sinceMs } = price;
        const since = new Date(sinceMs).toISOString();
        return [skuOf({ part, region, usdPerHour, purchase: "spot", since })];
      }),
    ]);
  }

  #spotOf(region: string, part: string): number | undefined {
    return this.#spotPriceOf(region, part)?.usdPerHour;
  }

  #spotPriceOf(region: string, part: string) {
    const place = { region, instanceType: part, zone: region };
    return this.#spot.priceAt(place, this.#options.clock.nowMs());
  }

  #baseOf(region: string, purchase: PurchaseOption): ReadonlyMap<string, number> {
    const key = `${region}/${purchase}`;
    const known = this.#base.get(key) ?? partPrices(region, purchase);
    this.#base.set(key, known);
    return known;
  }
}

interface SkuPrice {
  readonly part: string;
  readonly region: string;
  readonly usdPerHour: number;
  readonly purchase: PurchaseOption;
  readonly since: string;
}

/** One SKU as the API has it. */
function skuOf({ part, region, usdPerHour, purchase, since }: SkuPrice): object {
  const isSpot = purchase === "spot";
  const units = Math.floor(usdPerHour);
  const id = Buffer.from(`${part}/${region}/${purchase}`).toString("hex").slice(-12).toUpperCase();
  const skuId = [id.slice(0, 4), id.slice(4, 8), id.slice(8)].join("-");
  return {
    name: `services/6F81-5844-456A/skus/${skuId}`,
    skuId,
    description: `${isSpot ? "Spot Preemptible " : ""}${part} running in ${region}`,
    category: {
      serviceDisplayName: "Compute Engine",
      resourceFamily: "Compute",
      resourceGroup: part.includes("Ram") ? "RAM" : part.includes("Core") ? "CPU" : "GPU",
      usageType: isSpot ? "Preemptible" : "OnDemand",
    },
    serviceRegions: [region],
    pricingInfo: [
      {
        summary: "",
        pricingExpression: {
          usageUnit: part.endsWith(" Ram") ? "GiBy.h" : "h",
          displayQuantity: 1,
          tieredRates: [
            {
              startUsageAmount: 0,
              unitPrice: {
                currencyCode: "USD",
                units: String(units),
                nanos: Math.round((usdPerHour - units) * NANOS),
              },
            },
          ],
        },
        currencyConversionRate: 1,
        effectiveTime: since,
      },
    ],
    serviceProviderName: "Google",
  };
}

function errorAnswer(code: number, status: string, message: string): WholeAnswer {
  return jsonAnswer(code, { error: { code, message, status } });
}
