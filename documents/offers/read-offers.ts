/** A table of offers, in a public price list's layout or our own; told apart by the header. */
import type { Offer } from "../../core/index.ts";
import { nearestWord } from "../nearest-word.ts";
import { CATALOG_COLUMNS, catalogOffers, type RowReading } from "./catalog-layout.ts";
import { Cells } from "../cells.ts";
import { csvError, readCsv } from "../csv-table.ts";
import { OWN_COLUMNS, OWN_OPTIONAL_COLUMNS, ownOffer } from "./own-layout.ts";

/** Rows that no plan can use, by reason. */
export interface PassedOver {
  readonly reason: string;
  readonly rowCount: number;
  /** What of, where the reason is about names; most rows first. */
  readonly names: readonly { readonly name: string; readonly rowCount: number }[];
}

export interface OfferTable {
  /** In the order of the rows; ids are unique. */
  readonly offers: readonly Offer[];
  readonly rowCount: number;
  /** Most rows first. */
  readonly passedOver: readonly PassedOver[];
}

/**
 * The offers of a table.
 *
 * @throws PlatformError `invalid_request` with the line of the first row that is wrong. Rows
 *   that are right and of no use (GPU types without a name here, slices of GPUs) are counted.
 */
export function readOffers(text: string, name: string): OfferTable {
  const { columns, rows } = readCsv(text, name);
  const read = layoutOf(columns, name);
  const offers: Offer[] = [];
  const lineOf = new Map<string, number>();
  const passed = new Map<string, Map<string, number>>();
  for (const row of rows) {
    const reading = read(new Cells(row, name));
    if ("passedOver" in reading) {
      const { passedOver, name: of = "" } = reading;
      const names = passed.get(passedOver) ?? new Map<string, number>();
      passed.set(passedOver, names.set(of, (names.get(of) ?? 0) + 1));
      continue;
    }
    for (const offer of reading.offers) {
      const { offerId } = offer;
      const before = lineOf.get(offerId);
      if (before !== undefined) {
        throw csvError(name, row.line, `offer ${offerId} is in line ${before} already`);
      }
      lineOf.set(offerId, row.line);
      offers.push(offer);
    }
  }
  return { offers, rowCount: rows.length, passedOver: passedOverOf(passed) };
}

function passedOverOf(
  passed: ReadonlyMap<string, ReadonlyMap<string, number>>,
): readonly PassedOver[] {
  const counted = [...passed].map(([reason, byName]) => ({
    reason,
    rowCount: [...byName.values()].reduce((sum, count) => sum + count, 0),
    names: [...byName]
      .filter(([name]) => name !== "")
      .map(([name, rowCount]) => ({ name, rowCount }))
      .sort((a, b) => b.rowCount - a.rowCount || (a.name < b.name ? -1 : 1)),
  }));
  return counted.sort((a, b) => b.rowCount - a.rowCount || (a.reason < b.reason ? -1 : 1));
}

function layoutOf(columns: readonly string[], name: string): (cells: Cells) => RowReading {
  const isOwn = columns.includes("usd_per_hour") || columns.includes("purchase");
  const needed = isOwn ? OWN_COLUMNS : CATALOG_COLUMNS;
  const missing = needed.filter((column) => !columns.includes(column));
  const known = [...needed, ...(isOwn ? OWN_OPTIONAL_COLUMNS : [])];
  const strangers = columns.filter((column) => !known.includes(column));
  const [first] = missing;
  if (first !== undefined) {
    const near = nearestWord(first, strangers);
    const hint = near === undefined ? "" : ` (is ${near} meant to be it?)`;
    const columnsText = `the column${missing.length === 1 ? "" : "s"} ${missing.join(", ")}`;
    const layout = isOwn ? "the offer layout" : "the price list layout";
    throw csvError(name, 1, `${layout} lacks ${columnsText}${hint}`);
  }
  const [stranger] = strangers;
  if (isOwn && stranger !== undefined) {
    const near = nearestWord(stranger, known);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw csvError(name, 1, `unknown column "${stranger}"${hint}; known: ${known.join(", ")}`);
  }
  return isOwn ? (cells) => ({ offers: [ownOffer(cells)] }) : catalogOffers;
}
