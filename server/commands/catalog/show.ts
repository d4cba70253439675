/** `flotilla catalog show`: all that is known of an instance type or an offer. */
import { existsSync } from "node:fs";
import { usdFromMicroUsd, type Offer } from "../../../core/index.ts";
import { catalogOffers, type PriceSheet } from "../../../providers/index.ts";
import { PRICED_CLOUDS } from "../../../providers/prices/index.ts";
import { recordStorePath } from "../../store/store-path.ts";
import {
  bootQuantileMs,
  decayed,
  recordKeyOf,
  type OfferRecord,
} from "../../fleet/observed/offer-record.ts";
import { observedOffer } from "../../fleet/observed/observed-offer.ts";
import { loadConfig } from "../../load-config.ts";
import { priceFilePath, readPriceSheets } from "../../prices/price-file.ts";
import { openRecordStore } from "../../store/sqlite/open.ts";
import { columns } from "../columns.ts";
import { CommandError, settle } from "../outcome.ts";
import { priceOrigin } from "./list.ts";
import { cloudsOf, regionsOf, type ShowOptions } from "./options.ts";

/** An offer of the catalog: as it is built in, at the price in force, and as it has shown to be. */
export interface ShownOffer {
  /** Absent for a place or type that only a price list has. */
  readonly builtIn?: Offer;
  readonly inForce: Offer;
  /** One for each zone that was rented in, and one for emulated machines. */
  readonly seen: readonly SeenOffer[];
}

/** What was seen of an offer. */
export interface SeenOffer {
  /** As of now. */
  readonly record: OfferRecord;
  /** What plans take the offer for. */
  readonly planned: Offer;
}

/** Prints the offers of an instance type, or the one of an id. */
export async function runCatalogShow(machine: string, options: ShowOptions): Promise<void> {
  await settle(async () => {
    const { dataDir } = loadConfig(
      options.data === undefined ? {} : { dataDir: options.data },
      process.env,
    );
    const nowMs = Date.now();
    const sheets = readPriceSheets(priceFilePath(dataDir));
    const records = await recordsIn(recordStorePath(dataDir));
    const shown = shownOffers({ machine, options, sheets, records, nowMs });
    if (options.json === true) console.log(JSON.stringify({ offers: shown.map(documentOf) }));
    else console.log(showText(shown, nowMs));
  });
}

/** What a platform on the data folder has seen so far; nothing without one. */
async function recordsIn(path: string): Promise<readonly OfferRecord[]> {
  if (!existsSync(path)) return [];
  const store = openRecordStore(path);
  try {
    return await store.offers.list();
  } finally {
    await store.close();
  }
}

/** @throws CommandError `not_found` with what is like it */
export function shownOffers(of: {
  readonly machine: string;
  readonly options: ShowOptions;
  readonly sheets: readonly PriceSheet[];
  readonly records: readonly OfferRecord[];
  readonly nowMs: number;
}): readonly ShownOffer[] {
  const { machine, options, sheets, nowMs } = of;
  const regions = regionsOf(options);
  const place = { ...(regions === undefined ? {} : { regions }), emulated: false };
  const inForce = cloudsOf(options)
    .flatMap((cloud) => catalogOffers({ cloud, ...place, sheets }))
    .filter(
      ({ offerId, instanceType }) =>
        instanceType === machine || offerId === machine || offerId === withoutZone(machine),
    );
  if (inForce.length === 0) throw unknownMachine(machine);
  const builtIn = new Map(
    PRICED_CLOUDS.flatMap((cloud) => catalogOffers({ cloud, ...place })).map((offer) => [
      offer.offerId,
      offer,
    ]),
  );
  return inForce.map((offer) => {
    const before = builtIn.get(offer.offerId);
    const seen = of.records
      .filter(({ key }) => isOf(offer, key))
      .map((record) => ({
        record: decayed(record, nowMs),
        planned: observedOffer(offer, record, nowMs),
      }));
    return { ...(before === undefined ? {} : { builtIn: before }), inForce: offer, seen };
  });
}

/** Whether a record is of an offer, or of one zone of an offer that leaves the zone open. */
function isOf({ offerId }: Offer, key: string): boolean {
  const seen = key.startsWith(EMULATED) ? key.slice(EMULATED.length) : key;
  return seen === offerId || withoutZone(seen) === offerId;
}

const EMULATED = recordKeyOf({ offerId: "", emulated: true });

/** The id of the same offer with the zone left open. */
function withoutZone(offerId: string): string {
  const [cloud = "", region = "", , ...rest] = offerId.split("/");
  return [cloud, region, "*", ...rest].join("/");
}

function unknownMachine(machine: string): CommandError {
  return new CommandError(
    "not_found",
    `the catalog has no instance type or offer ${machine} there`,
    {
      nextStep: "`flotilla catalog list` shows all that there are",
    },
  );
}

/** The offers for people: prices, then what was seen. */
export function showText(shown: readonly ShownOffer[], nowMs: number): string {
  const prices = shown.map(({ builtIn, inForce }) => [
    inForce.offerId,
    builtIn === undefined ? "-" : usd(builtIn),
    usd(inForce),
    priceOrigin(inForce, nowMs),
  ]);
  const seen = shown.flatMap((one) => one.seen.map(seenRow));
  const head = ["OFFER", "LAUNCHES", "FAILED", "BOOT P50/P90", "NODE-HOURS", "RECLAIMS"];
  return [
    columns(["OFFER", "BUILT IN $/H", "IN FORCE $/H", "PRICE"], prices),
    "",
    seen.length === 0
      ? "Nothing was seen of them yet: plans take the catalog's figures."
      : columns([...head, "PLANS TAKE: FAILURES", "BOOT", "RECLAIMS/H"], seen),
  ].join("\n");
}

function seenRow({ record, planned }: SeenOffer): readonly string[] {
  const quantiles = [0.5, 0.9].map((fraction) => seconds(bootQuantileMs(record, fraction)));
  return [
    record.key,
    record.askedCount.toFixed(1),
    (record.refusedCount + record.failedCount).toFixed(1),
    quantiles.join("/"),
    record.nodeHours.toFixed(1),
    record.reclaimCount.toFixed(1),
    (planned.launchFailureFraction ?? 0).toFixed(3),
    seconds(planned.bootMs),
    planned.reclaimFractionPerHour.toFixed(6),
  ];
}

function documentOf({ builtIn, inForce, seen }: ShownOffer): unknown {
  return {
    offerId: inForce.offerId,
    builtInMicroUsdPerHour: builtIn?.priceMicroUsdPerHour ?? null,
    inForce,
    seen: seen.map(({ record, planned }) => ({
      ...record,
      bootMsP50: bootQuantileMs(record, 0.5) ?? null,
      bootMsP90: bootQuantileMs(record, 0.9) ?? null,
      planned: {
        launchFailureFraction: planned.launchFailureFraction ?? 0,
        bootMs: planned.bootMs,
        reclaimFractionPerHour: planned.reclaimFractionPerHour,
      },
    })),
  };
}

function usd({ priceMicroUsdPerHour }: Offer): string {
  return usdFromMicroUsd(priceMicroUsdPerHour).toFixed(4);
}

function seconds(ms: number | undefined): string {
  return ms === undefined ? "-" : `${Math.round(ms / 1000)} s`;
}
