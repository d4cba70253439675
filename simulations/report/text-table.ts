/**
 * Tables of plain text that fit a width: numbers to the right, and columns that find no room
 * go into a further table below, which repeats the first column.
 */

export interface TextTable {
  readonly headers: readonly string[];
  /** As many cells as there are headers. */
  readonly rows: readonly (readonly string[])[];
}

const GAP = "  ";
const FIRST_COLUMN_WIDTH_MAX = 36;

/**
 * The lines of a table, none longer than `width` unless two columns alone are.
 *
 * The first column is text, the others are numbers. Control characters in cells are shown as
 * `?`, so that a name cannot move the cursor of a terminal.
 */
export function textTable({ headers, rows }: TextTable, width: number): readonly string[] {
  const lines = [headers, ...rows].map((line) =>
    line.map((cell, column) => fitted(plainText(cell), column)),
  );
  const widths = headers.map((_, column) =>
    Math.max(...lines.map((line) => lengthOf(line[column] ?? ""))),
  );
  return chunksOf(widths, width).flatMap((columns, chunk) => [
    ...(chunk === 0 ? [] : [""]),
    ...lines.flatMap((line, index) => {
      const text = lineText(line, columns, widths);
      return index === 0 ? [text, "-".repeat(lengthOf(text))] : [text];
    }),
  ]);
}

/** A text in which nothing steers a terminal. */
export function plainText(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, "?");
}

function fitted(cell: string, column: number): string {
  if (column > 0 || lengthOf(cell) <= FIRST_COLUMN_WIDTH_MAX) return cell;
  return `${Array.from(cell)
    .slice(0, FIRST_COLUMN_WIDTH_MAX - 1)
    .join("")}…`;
}

/** Columns of each table: the first one, and as many others as fit beside it. */
function chunksOf(widths: readonly number[], width: number): readonly (readonly number[])[] {
  const chunks: number[][] = [];
  let used = 0;
  for (let column = 1; column < widths.length; column += 1) {
    const needed = GAP.length + (widths[column] ?? 0);
    const current = chunks.at(-1);
    if (current !== undefined && used + needed <= width) {
      current.push(column);
      used += needed;
    } else {
      chunks.push([0, column]);
      used = (widths[0] ?? 0) + needed;
    }
  }
  return chunks.length === 0 ? [[0]] : chunks;
}

function lineText(
  line: readonly string[],
  columns: readonly number[],
  widths: readonly number[],
): string {
  const cells = columns.map((column) => {
    const cell = line[column] ?? "";
    const padding = " ".repeat((widths[column] ?? 0) - lengthOf(cell));
    return column === 0 ? cell + padding : padding + cell;
  });
  return cells.join(GAP).trimEnd();
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
