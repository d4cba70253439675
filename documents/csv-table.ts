/** Comma-separated tables: rows by column name, each with its line for messages. */
import { CsvError, parse } from "csv-parse/sync";
import { PlatformError } from "../core/index.ts";
import { isPrintableName } from "./printable-name.ts";

/** One row; columns that are empty or absent read as "". */
export interface CsvRow {
  /** Counts from 1, the header being line 1. */
  readonly line: number;
  readonly cell: (column: string) => string;
}

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

/**
 * The table of a text whose first row names the columns. Quoting is that of RFC 4180; rows of
 * spaces and rows that start with `#` are passed over.
 *
 * @throws PlatformError `invalid_request` with the line of what is no table.
 */
export function readCsv(text: string, name: string): CsvTable {
  const [header, ...records] = parsed(text, name);
  if (header === undefined) throw csvError(name, 1, "the file is empty: it needs a header row");
  const columns = header.record;
  const unnamed = columns.findIndex((column) => !isPrintableName(column));
  if (unnamed >= 0) {
    throw csvError(name, header.line, `column ${unnamed + 1} has no name of printable characters`);
  }
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) throw csvError(name, header.line, `the column ${twice} is there twice`);
  const indexes = new Map(columns.map((column, index) => [column, index]));
  const rows = records.map(({ record, line }) => ({
    line,
    cell: (column: string) => record[indexes.get(column) ?? -1] ?? "",
  }));
  return { columns, rows };
}

/** `offers.csv, line 7: what is wrong`. */
export function csvError(name: string, line: number, message: string): PlatformError {
  return new PlatformError(`${name}, line ${line}: ${message}`, {
    code: "invalid_request",
    retryable: false,
    details: { name, line },
  });
}

interface Line {
  readonly record: readonly string[];
  readonly line: number;
}

function parsed(text: string, name: string): readonly Line[] {
  const lines: Line[] = [];
  try {
    parse(text, {
      bom: true,
      trim: true,
      comment: "#",
      comment_no_infix: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      on_record: (record, info) => {
        lines.push({ record, line: info.lines });
        return null;
      },
    });
    return lines;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const line = typeof error["lines"] === "number" ? error["lines"] : 1;
    throw csvError(name, line, wordingOf(error));
  }
}

/** The parser's own words, but for rows of a wrong length: that is what people get wrong most. */
function wordingOf(error: CsvError): string {
  const { record } = error;
  if (error.code !== "CSV_RECORD_INCONSISTENT_FIELDS_LENGTH" || !Array.isArray(record)) {
    return error.message;
  }
  return `has ${record.length} columns, but the header names another number of them`;
}
