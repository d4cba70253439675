/** Reads what people write: tables and YAML, each mistake with its place and what is allowed there. */
export { allowedAt, describeAllowed, type Allowed } from "./allowed.ts";
export { Cells } from "./cells.ts";
export { csvError, readCsv } from "./csv-table.ts";
export { checkValue, mistakesError, pathText, readDocument } from "./document.ts";
export { nearestWord } from "./nearest-word.ts";
export { readOffers, type OfferTable } from "./offers/read-offers.ts";
export { printableName } from "./printable-name.ts";
