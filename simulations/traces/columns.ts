import { csvError, nearestWord } from "../../documents/index.ts";

/** Seconds since 1970 are below it until the year 33658. */
export const TIME_S_MAX = 1e12;

/**
 * Makes sure that a table has the columns of a layout; more are allowed.
 *
 * @throws PlatformError `invalid_request` that names what is missing and what is probably meant.
 */
export function requireColumns(table: {
  readonly file: string;
  readonly columns: readonly string[];
  readonly needed: readonly string[];
  /** Such as `the servegen layout`. */
  readonly layout: string;
}): void {
  const { file, columns, needed, layout } = table;
  const missing = needed.find((column) => !columns.includes(column));
  if (missing === undefined) return;
  const strangers = columns.filter((column) => !needed.includes(column));
  const near = nearestWord(missing, strangers);
  const hint = near === undefined ? "" : ` (is ${near} meant to be it?)`;
  throw csvError(
    file,
    1,
    `${layout} needs the columns ${needed.join(", ")}; ${missing} is missing${hint}`,
  );
}
