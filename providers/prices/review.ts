/**
 * What of a new price sheet is believed.
 *
 * A price list can be wrong, or its layout can have changed under us, and a plan that believes
 * it rents the wrong fleet. So a price is never 0 and never no number; one that differs from the
 * last by more than `JUMP_FACTOR_MAX` is held back, named, and the last one kept; and a reading that lacks
 * more than half of the prices known of a region is refused altogether.
 */
import type { MicroUsd } from "../../core/index.ts";
import type { ListedPrice, PriceSheet } from "../catalog/index.ts";
import type { ReadSheet } from "./reading.ts";

/** Most that a price may change by at once, up or down, without being asked about. */
export const JUMP_FACTOR_MAX = 5;

/** A reading with fewer of the known prices than this says that something else is wrong. */
const KNOWN_FRACTION_MIN = 0.5;

/** Names a price within a region: `p5.48xlarge/spot`. */
export function priceKey({
  instanceType,
  purchase,
}: Pick<ListedPrice, "instanceType" | "purchase">): string {
  return `${instanceType}/${purchase}`;
}

/** A price that is new or has changed. */
export interface PriceChange extends Pick<ListedPrice, "instanceType" | "purchase"> {
  /** Absent when there was none. */
  readonly beforeMicroUsdPerHour?: MicroUsd;
  readonly afterMicroUsdPerHour: MicroUsd;
}

/** A price that is not believed. */
export interface HeldPrice extends Pick<ListedPrice, "instanceType" | "purchase"> {
  /** What the list says; may be no number. */
  readonly listedMicroUsdPerHour: number;
  /** What stays in force; absent when there is none. */
  readonly keptMicroUsdPerHour?: MicroUsd;
  readonly reason: string;
}

/** What comes of a new sheet. */
export type SheetReview =
  | {
      readonly kind: "accepted";
      /** What is to be kept from now on. */
      readonly sheet: PriceSheet;
      /** In the order of keys. */
      readonly changes: readonly PriceChange[];
      readonly held: readonly HeldPrice[];
      /** Prices that the list does not have any more. */
      readonly gone: readonly string[];
    }
  | { readonly kind: "refused"; readonly reason: string };

/** What was known before. */
export interface KnownPrices {
  /** The region's last sheet. */
  readonly sheet?: PriceSheet | undefined;
  /** The region's built-in prices, by `priceKey`: what a first sheet is compared with. */
  readonly builtIn: ReadonlyMap<string, MicroUsd>;
}

/**
 * Compares a reading with what was known.
 *
 * @param acceptsJumps Whether somebody has looked at the prices that were held back.
 */
export function reviewSheet(
  { sheet, covers }: ReadSheet,
  known: KnownPrices,
  acceptsJumps = false,
): SheetReview {
  const last = lastPrices(known.sheet);
  const listed = new Map(sheet.prices.map((price) => [priceKey(price), price]));
  const missing = [...last.values()].filter(
    (price) => covers.includes(price.purchase) && !listed.has(priceKey(price)),
  );
  const coveredCount = [...last.values()].filter(({ purchase }) =>
    covers.includes(purchase),
  ).length;
  if (missing.length > coveredCount * (1 - KNOWN_FRACTION_MIN)) {
    const reason = `it lacks ${missing.length} of the ${coveredCount} prices known of it`;
    return { kind: "refused", reason };
  }
  if (sheet.prices.length === 0) return { kind: "refused", reason: "it has no price" };
  const kept = [...last.values()].filter(
    (price) => !covers.includes(price.purchase) && !listed.has(priceKey(price)),
  );
  const prices: ListedPrice[] = kept;
  const changes: PriceChange[] = [];
  const held: HeldPrice[] = [];
  for (const key of [...listed.keys()].sort()) {
    const price = listed.get(key);
    if (price === undefined) continue;
    const before = last.get(key);
    const beforeMicroUsd = before?.microUsdPerHour ?? known.builtIn.get(key);
    const reason = doubtOf(price.microUsdPerHour, beforeMicroUsd, acceptsJumps);
    if (reason !== undefined) {
      held.push(heldPrice(price, beforeMicroUsd, reason));
      if (before !== undefined) prices.push(before);
      continue;
    }
    prices.push(price);
    if (price.microUsdPerHour !== beforeMicroUsd) changes.push(changeOf(price, beforeMicroUsd));
  }
  const sorted = prices.toSorted((one, other) => (priceKey(one) < priceKey(other) ? -1 : 1));
  const gone = missing.map(priceKey).sort();
  return { kind: "accepted", sheet: { ...sheet, prices: sorted }, changes, held, gone };
}

/** The prices of a sheet by key, each with the time it was read. */
function lastPrices(sheet: PriceSheet | undefined): ReadonlyMap<string, ListedPrice> {
  const prices = sheet?.prices ?? [];
  const readAtMs = sheet?.readAtMs ?? 0;
  return new Map(prices.map((price) => [priceKey(price), { readAtMs, ...price }]));
}

function doubtOf(
  microUsd: number,
  beforeMicroUsd: MicroUsd | undefined,
  acceptsJumps: boolean,
): string | undefined {
  if (!Number.isSafeInteger(microUsd) || microUsd <= 0) return "it is no price";
  if (beforeMicroUsd === undefined || acceptsJumps) return undefined;
  const ratio = microUsd / beforeMicroUsd;
  if (ratio > JUMP_FACTOR_MAX) return `it is ${ratio.toFixed(1)} times the last one`;
  if (ratio < 1 / JUMP_FACTOR_MAX) return `the last one is ${(1 / ratio).toFixed(1)} times it`;
  return undefined;
}

function heldPrice(
  { instanceType, purchase, microUsdPerHour }: ListedPrice,
  keptMicroUsd: MicroUsd | undefined,
  reason: string,
): HeldPrice {
  const kept = keptMicroUsd === undefined ? {} : { keptMicroUsdPerHour: keptMicroUsd };
  return { instanceType, purchase, listedMicroUsdPerHour: microUsdPerHour, ...kept, reason };
}

function changeOf(
  { instanceType, purchase, microUsdPerHour }: ListedPrice,
  beforeMicroUsd: MicroUsd | undefined,
): PriceChange {
  const before = beforeMicroUsd === undefined ? {} : { beforeMicroUsdPerHour: beforeMicroUsd };
  return { instanceType, purchase, ...before, afterMicroUsdPerHour: microUsdPerHour };
}
