/** Reads the cells of an offer row; what is wrong becomes an error with the row's line. */
import { microUsdFromUsd } from "../core/index.ts";
import { nearestWord } from "./nearest-word.ts";
import { isPrintableName } from "./printable-name.ts";
import { csvError, type CsvRow } from "./csv-table.ts";

/** Amounts above this are typing mistakes; micro-dollars stay exact far above it. */
const AMOUNT_MAX = 1e9;
const NUMBER = /^\d+(\.\d+)?([eE][+-]?\d+)?$/;

/** The cells of one row of the table `name`. */
export class Cells {
  readonly #row: CsvRow;
  readonly #name: string;

  constructor(row: CsvRow, name: string) {
    this.#row = row;
    this.#name = name;
  }

  /** A text that must be there. @throws PlatformError */
  text(column: string): string {
    const text = this.#row.cell(column);
    if (text === "") throw this.error(`${column} is empty`);
    return this.#printable(column, text);
  }

  /** A text, or undefined for an empty cell. @throws PlatformError */
  textOrNone(column: string): string | undefined {
    const text = this.#row.cell(column);
    return text === "" ? undefined : this.#printable(column, text);
  }

  /** A number >= 0 that must be there. @throws PlatformError */
  amount(column: string, max = AMOUNT_MAX): number {
    const value = this.amountOrNone(column, max);
    if (value === undefined) throw this.error(`${column} is empty`);
    return value;
  }

  /** A number >= 0, or undefined for an empty cell. @throws PlatformError */
  amountOrNone(column: string, max = AMOUNT_MAX): number | undefined {
    const text = this.#row.cell(column);
    if (text === "") return undefined;
    const value = NUMBER.test(text) ? Number(text) : Number.NaN;
    if (value >= 0 && value <= max) return value;
    const range = max === AMOUNT_MAX ? ">= 0" : `from 0 to ${max}`;
    throw this.error(`${column} must be a number ${range}, not ${quoted(text)}`);
  }

  /** A whole number >= 0, or undefined for an empty cell. @throws PlatformError */
  wholeOrNone(column: string): number | undefined {
    const value = this.amountOrNone(column);
    if (value === undefined || Number.isSafeInteger(value)) return value;
    throw this.error(
      `${column} must be a whole number >= 0, not ${quoted(this.#row.cell(column))}`,
    );
  }

  /** One of `words`, which must be there. @throws PlatformError that names the nearest one. */
  oneOf<Word extends string>(column: string, words: readonly Word[]): Word {
    const text = this.text(column);
    const word = words.find((one) => one === text);
    if (word !== undefined) return word;
    const near = nearestWord(text, words);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw this.error(`${column} must be one of ${words.join(", ")}, not ${quoted(text)}${hint}`);
  }

  /** Dollars as micro-dollars, or undefined for an empty cell. @throws PlatformError */
  microUsdOrNone(column: string): number | undefined {
    const usd = this.amountOrNone(column);
    return usd === undefined ? undefined : microUsdFromUsd(usd);
  }

  /** An error at this row. */
  error(message: string): Error {
    return csvError(this.#name, this.#row.line, message);
  }

  #printable(column: string, text: string): string {
    if (isPrintableName(text)) return text;
    throw this.error(`${column} must be 1 to 200 printable characters`);
  }
}

function quoted(text: string): string {
  return JSON.stringify(text.replace(/\p{C}/gu, "?").slice(0, 60));
}
