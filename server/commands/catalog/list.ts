/** `flotilla catalog list`: the offers of the catalog, at the prices in force. */
import { GPU_TYPES, usdFromMicroUsd, type Offer } from "../../../core/index.ts";
import { catalogOffers, type PriceSheet } from "../../../providers/index.ts";
import { nearestWord } from "../../../documents/index.ts";
import { loadConfig } from "../../load-config.ts";
import { priceFilePath, readPriceSheets } from "../../prices/price-file.ts";
import { STALE_MS } from "../../prices/price-shelf.ts";
import { columns } from "../columns.ts";
import { CommandError, settle } from "../outcome.ts";
import { cloudsOf, regionsOf, type ListOptions } from "./options.ts";

/** Prints offers; each says whether its price is built in, or when it was read. */
export async function runCatalogList(options: ListOptions): Promise<void> {
  await settle(() => {
    const { dataDir } = loadConfig(
      options.data === undefined ? {} : { dataDir: options.data },
      process.env,
    );
    const sheets = readPriceSheets(priceFilePath(dataDir));
    const offers = listedOffers(options, sheets);
    const nowMs = Date.now();
    if (options.json === true) console.log(JSON.stringify(listDocument(offers, sheets, nowMs)));
    else console.log(listText(offers, sheets, nowMs));
    return Promise.resolve();
  });
}

/** The offers that were asked for, sorted by id. @throws CommandError `usage`, `not_found` */
export function listedOffers(
  options: ListOptions,
  sheets: readonly PriceSheet[],
): readonly Offer[] {
  const { gpu } = options;
  if (gpu !== undefined && gpu !== "none" && !GPU_TYPES.some((type) => type === gpu)) {
    const near = nearestWord(gpu, GPU_TYPES);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw new CommandError(
      "usage",
      `--gpu takes ${GPU_TYPES.join(", ")} or none, not ${gpu}${hint}`,
    );
  }
  const regions = regionsOf(options);
  const offers = cloudsOf(options)
    .flatMap((cloud) =>
      catalogOffers({
        cloud,
        ...(regions === undefined ? {} : { regions }),
        emulated: false,
        sheets,
      }),
    )
    .filter(({ gpuType }) => gpu === undefined || (gpuType ?? "none") === gpu);
  if (offers.length > 0) return offers;
  throw new CommandError("not_found", "the catalog has no such offer", {
    nextStep: "`flotilla catalog list` without options shows all that there are",
  });
}

/** The offers for people. */
export function listText(
  offers: readonly Offer[],
  sheets: readonly PriceSheet[],
  nowMs: number,
): string {
  const rows = offers.map((offer) => [
    `${offer.cloud} ${offer.zone ?? offer.region}`,
    offer.instanceType,
    offer.purchase,
    offer.gpuType === undefined ? "-" : `${offer.resources.gpuCount} ${offer.gpuType}`,
    String(offer.resources.cpuMilli / 1000),
    `${Math.round(offer.resources.memoryMiB / 1024)} GiB`,
    usdFromMicroUsd(offer.priceMicroUsdPerHour).toFixed(4),
    priceOrigin(offer, nowMs),
  ]);
  const sources = sheets.length === 0 ? [noSheets] : [];
  const head = ["WHERE", "MACHINE", "PURCHASE", "GPUS", "CPU", "MEMORY", "$/H", "PRICE"];
  return [columns(head, rows), ...sources].join("\n");
}

const noSheets =
  "All prices are built in: `flotilla catalog refresh` reads those of now from the clouds.";

/** The offers for programs; `source` of a price that was read names its list. */
function listDocument(
  offers: readonly Offer[],
  sheets: readonly PriceSheet[],
  nowMs: number,
): unknown {
  return {
    offers: offers.map((offer) => ({
      ...offer,
      source:
        offer.pricedAtMs === undefined
          ? "built in"
          : sheets.find(({ cloud, region }) => cloud === offer.cloud && region === offer.region)
              ?.source,
      stale: isStale(offer, nowMs),
    })),
  };
}

/** `built in`, `read 3 h ago`, `STALE: read 50 h ago`. */
export function priceOrigin(offer: Pick<Offer, "pricedAtMs">, nowMs: number): string {
  if (offer.pricedAtMs === undefined) return "built in";
  const hours = Math.max(0, Math.floor((nowMs - offer.pricedAtMs) / 3_600_000));
  return `${isStale(offer, nowMs) ? "STALE: " : ""}read ${hours} h ago`;
}

function isStale({ pricedAtMs }: Pick<Offer, "pricedAtMs">, nowMs: number): boolean {
  return pricedAtMs !== undefined && nowMs - pricedAtMs > STALE_MS;
}
