/**
 * Azure's public price list, whose spot prices move.
 *
 *     GET /api/retail/prices?$filter=armSkuName eq 'A' and (armRegionName eq 'x' or ...)&$skip=100
 *
 * The filter is a conjunction of fields that equal a value, or one of several in parentheses.
 * Source: Azure REST reference, "Azure Retail Prices overview" (read 2026-11).
 */
import {
  PlatformError,
  usdFromMicroUsd,
  type Clock,
  type PurchaseOption,
} from "../../../core/index.ts";
import { catalogOffers } from "../../catalog/index.ts";
import { jsonAnswer, type WholeAnswer, type WholeRequest } from "../shared/loopback-server.ts";
import { SpotMarket, type PriceWalk, type SpotPriceRule } from "../shared/spot-market.ts";

const PATH = "/api/retail/prices";
const PAGE_SIZE = 100;
/** On-demand prices do not move; since long before anything here. */
const LISTED_SINCE = "2026-01-01T00:00:00Z";

type Item = Readonly<Record<string, string | number | boolean>>;

export interface RetailPricesOptions {
  readonly clock: Clock;
  readonly seed: string;
  readonly regions: readonly string[];
}

/** The price list of one emulator. */
export class RetailPrices {
  readonly #spot: SpotMarket;
  readonly #clock: Clock;
  readonly #prices: ReadonlyMap<string, ListedSize>;

  constructor({ clock, seed, regions }: RetailPricesOptions) {
    this.#clock = clock;
    this.#prices = new Map(
      catalogOffers({ cloud: "azure", regions, emulated: true }).map((offer) => {
        const { region, instanceType, purchase, priceMicroUsdPerHour } = offer;
        const usdPerHour = usdFromMicroUsd(priceMicroUsdPerHour);
        return [
          keyOf(region, instanceType, purchase),
          { region, instanceType, purchase, usdPerHour },
        ];
      }),
    );
    this.#spot = new SpotMarket({
      seed,
      openedAtMs: clock.nowMs(),
      baseUsdPerHour: ({ region, instanceType }) =>
        this.#prices.get(keyOf(region, instanceType, "spot"))?.usdPerHour,
    });
  }

  /** Lets spot prices move by themselves; absent stops them. */
  setWalk(walk: PriceWalk | undefined): void {
    this.#spot.setWalk(walk);
  }

  /**
   * Sets the spot price of a size in a region from now on.
   *
   * @throws PlatformError `invalid_request` for what is not sold there.
   */
  setPrice(rule: SpotPriceRule): void {
    const { region, instanceType } = rule;
    if (!this.#prices.has(keyOf(region, instanceType, "spot"))) {
      const message = `cannot set the price of ${instanceType}: it has no spot price in ${region}`;
      const details = { region, instanceType };
      throw new PlatformError(message, { code: "invalid_request", retryable: false, details });
    }
    this.#spot.setPrice(rule, this.#clock.nowMs());
  }

  /** Answers a request for a page of prices; undefined for any other path. */
  answer({ url, method }: WholeRequest, endpoint: string): WholeAnswer | undefined {
    if (url.pathname !== PATH) return undefined;
    if (method !== "GET") return refusal(405, `${method} is not supported`);
    const filter = url.searchParams.get("$filter") ?? "";
    const tests = testsOf(filter);
    if (tests === undefined) return refusal(400, `the filter ${filter} is not emulated`);
    const from = Number(url.searchParams.get("$skip") ?? 0) || 0;
    const items = [...this.#prices.values()]
      .map((size) => this.#itemOf(size))
      .filter((item) => tests.every((test) => test(item)));
    const page = items.slice(from, from + PAGE_SIZE);
    const next = new URL(`${endpoint}${PATH}`);
    next.searchParams.set("$filter", filter);
    next.searchParams.set("$skip", String(from + PAGE_SIZE));
    return jsonAnswer(200, {
      BillingCurrency: "USD",
      CustomerEntityId: "Default",
      CustomerEntityType: "Retail",
      Items: page,
      NextPageLink: from + PAGE_SIZE < items.length ? next.href : null,
      Count: page.length,
    });
  }

  #itemOf({ region, instanceType, purchase, usdPerHour }: ListedSize): Item {
    const isSpot = purchase === "spot";
    const place = { region, instanceType, zone: region };
    const spot = isSpot ? this.#spot.priceAt(place, this.#clock.nowMs()) : undefined;
    const price = Number((spot?.usdPerHour ?? usdPerHour).toFixed(6));
    const name = instanceType.replace(/^Standard_/, "").replaceAll("_", " ");
    return {
      currencyCode: "USD",
      tierMinimumUnits: 0,
      retailPrice: price,
      unitPrice: price,
      armRegionName: region,
      location: region,
      effectiveStartDate: spot === undefined ? LISTED_SINCE : new Date(spot.sinceMs).toISOString(),
      productName: `Virtual Machines ${name.split(" ")[0] ?? name} Series`,
      skuName: isSpot ? `${name} Spot` : name,
      meterName: isSpot ? `${name} Spot` : name,
      serviceName: "Virtual Machines",
      serviceFamily: "Compute",
      unitOfMeasure: "1 Hour",
      type: "Consumption",
      priceType: "Consumption",
      isPrimaryMeterRegion: true,
      armSkuName: instanceType,
    };
  }
}

interface ListedSize {
  readonly region: string;
  readonly instanceType: string;
  readonly purchase: PurchaseOption;
  readonly usdPerHour: number;
}

function keyOf(region: string, instanceType: string, purchase: PurchaseOption): string {
  return `${region}/${instanceType}/${purchase}`;
}

const EQUALS = "(\\w+) eq '((?:[^']|'')*)'";
const TERM = new RegExp(`^(?:${EQUALS}|\\(\\s*(${EQUALS}(?: or ${EQUALS})*)\\s*\\))(?: and |$)`);

/** The comparisons of a filter, each as a test; undefined when it is of another form. */
function testsOf(filter: string): readonly ((item: Item) => boolean)[] | undefined {
  const tests: ((item: Item) => boolean)[] = [];
  for (let rest = filter.trim(); rest !== "";) {
    const [whole, field, , any] = TERM.exec(rest) ?? [];
    if (whole === undefined) return undefined;
    const term = field === undefined ? (any ?? "") : whole.replace(/ and $/, "");
    const wanted = [...term.matchAll(new RegExp(EQUALS, "g"))].map(([, name = "", value = ""]) => ({
      name,
      value: value.replaceAll("''", "'"),
    }));
    tests.push((item) => wanted.some(({ name, value }) => String(item[name] ?? "") === value));
    rest = rest.slice(whole.length);
  }
  return tests;
}

function refusal(status: number, message: string): WholeAnswer {
  return jsonAnswer(status, { error: { code: "BadRequest", message } });
}
