/**
 * Traffic of public inference services: requests per second of one model in windows, summed over
 * its clients.
 *
 * Source: ServeGen (arXiv 2505.09999, Apache-2.0). Layout: `window_start_s,total_rate_rps`, in any
 * order of columns, more columns allowed; windows in ascending order, all equally long.
 */
import { MS_PER_SECOND } from "../../core/index.ts";
import { Cells, csvError, readCsv } from "../../documents/index.ts";
import { requireColumns, TIME_S_MAX } from "./columns.ts";
import type { DemandTrace } from "./trace.ts";
import { fillHoles } from "./windows.ts";

const COLUMNS = ["window_start_s", "total_rate_rps"] as const;

export interface ServegenOptions {
  /** What to call the trace, such as `servegen m-mid`. */
  readonly name: string;
  /** Whose arrivals these are. */
  readonly functionId: string;
}

/**
 * The windows of a file, holes filled; one series, one step a window.
 *
 * @throws PlatformError `invalid_request` with file, line and column of what is wrong.
 */
export function readServegen(text: string, file: string, options: ServegenOptions): DemandTrace {
  const { columns, rows } = readCsv(text, file);
  requireColumns({ file, columns, needed: COLUMNS, layout: "the servegen layout" });
  const starts: number[] = [];
  const collected: number[] = [];
  for (const row of rows) {
    const cells = new Cells(row, file);
    const start = cells.amount("window_start_s", TIME_S_MAX);
    const windowS = (starts[1] ?? start) - (starts[0] ?? 0);
    const before = starts.at(-1);
    if (before !== undefined && (start <= before || start - before !== windowS)) {
      throw cells.error(
        `window_start_s is ${start} after ${before}; windows must be in order and equally long` +
          (starts.length > 1 ? ` (${windowS} s): insert the missing ones with rate 0` : ""),
      );
    }
    starts.push(start);
    collected.push(cells.amount("total_rate_rps"));
  }
  const [first = 0, second] = starts;
  if (second === undefined) {
    throw csvError(file, 1, "at least two windows are needed, to know how long one is");
  }
  const { rates, imputed } = fillHoles(collected);
  const windowMs = Math.round((second - first) * MS_PER_SECOND);
  return {
    name: options.name,
    source: `${file}: ServeGen (arXiv 2505.09999), requests per second of one model`,
    stepMs: windowMs,
    windowMs,
    series: [{ functionId: options.functionId, perSecond: rates }],
    imputed,
  };
}
