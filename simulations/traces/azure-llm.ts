/**
 * Requests to a language model, one by one.
 *
 * Source: Azure LLM inference traces of 2023 (github.com/Azure/AzurePublicDataset, CC-BY-4.0;
 * Patel et al., Splitwise, ISCA 2024). Layout: `TIMESTAMP,ContextTokens,GeneratedTokens`, times
 * in UTC to 100 ns, in order.
 */
import { MS_PER_SECOND } from "../../core/index.ts";
import { Cells, csvError, readCsv } from "../../documents/index.ts";
import { requireColumns } from "./columns.ts";
import type { DemandTrace } from "./trace.ts";

const COLUMNS = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"] as const;

/** How long a request runs: a * context + b * generated + c, in milliseconds. */
export interface TokenTimes {
  readonly msPerContextToken: number;
  readonly msPerGeneratedToken: number;
  readonly fixedMs: number;
}

/**
 * An assumption about a large model, to be replaced by what is measured: 4,000 prompt tokens a
 * second, 25 generated ones.
 */
export const DEFAULT_TOKEN_TIMES: TokenTimes = {
  msPerContextToken: 0.25,
  msPerGeneratedToken: 40,
  fixedMs: 20,
};

/** A requests file as demand. */
export interface RequestTrace {
  readonly trace: DemandTrace;
  /** Of each request, in their order. */
  readonly serviceMs: Float64Array;
  /** What a lognormal distribution with the same mean and spread of logs has. */
  readonly service: { readonly meanMs: number; readonly sigma: number };
}

export interface RequestOptions {
  readonly name: string;
  readonly functionId: string;
  readonly stepMs: number;
  readonly windowMs: number;
  readonly times?: TokenTimes;
}

/**
 * The requests of a file: rates by step from the first request on, to the end of the last whole
 * window, and how long each runs. Repeat it with `repeated` for a longer run.
 *
 * @throws PlatformError `invalid_request` with file, line and column of what is wrong.
 */
export function readAzureLlm(text: string, file: string, options: RequestOptions): RequestTrace {
  const { stepMs, windowMs, times = DEFAULT_TOKEN_TIMES } = options;
  const { columns, rows } = readCsv(text, file);
  requireColumns({ file, columns, needed: COLUMNS, layout: "the Azure LLM layout" });
  const atMs: number[] = [];
  const serviceMs = new Float64Array(rows.length);
  for (const [index, row] of rows.entries()) {
    const cells = new Cells(row, file);
    const time = timeOf(cells);
    const before = atMs.at(-1) ?? time;
    if (time < before)
      throw cells.error("TIMESTAMP is before that of the row above: sort the rows");
    atMs.push(time);
    serviceMs[index] =
      times.fixedMs +
      times.msPerContextToken * cells.amount("ContextTokens") +
      times.msPerGeneratedToken * cells.amount("GeneratedTokens");
  }
  const [firstMs = 0] = atMs;
  const windowCount = Math.floor(((atMs.at(-1) ?? 0) - firstMs) / windowMs);
  if (windowCount < 1) {
    const span = `${rows.length} requests over less than one window of ${windowMs / MS_PER_SECOND} s`;
    throw csvError(file, 1, `there are ${span}: choose a shorter window or a longer file`);
  }
  const perSecond = new Float64Array((windowCount * windowMs) / stepMs);
  for (const time of atMs) {
    const step = Math.floor((time - firstMs) / stepMs);
    if (step < perSecond.length) perSecond[step] = (perSecond[step] ?? 0) + MS_PER_SECOND / stepMs;
  }
  return {
    trace: {
      name: options.name,
      source: `${file}: Azure LLM inference trace (CC-BY-4.0)`,
      stepMs,
      windowMs,
      series: [{ functionId: options.functionId, perSecond }],
      imputed: new Uint8Array(windowCount),
    },
    serviceMs,
    service: fitted(serviceMs),
  };
}

const TIMESTAMP = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(\.\d{1,7})?$/;

function timeOf(cells: Cells): number {
  const text = cells.text("TIMESTAMP");
  const [, date, time, fraction = "0"] = TIMESTAMP.exec(text) ?? [];
  const wholeMs = Date.parse(`${date ?? ""}T${time ?? ""}Z`);
  if (Number.isFinite(wholeMs)) return wholeMs + Number(fraction) * MS_PER_SECOND;
  throw cells.error(`TIMESTAMP must look like 2023-11-16 18:15:46.6805900, not ${text}`);
}

function fitted(serviceMs: Float64Array): RequestTrace["service"] {
  const mean = (values: Float64Array): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const logs = serviceMs.map(Math.log);
  const middle = mean(logs);
  return {
    meanMs: mean(serviceMs),
    sigma: Math.sqrt(mean(logs.map((log) => (log - middle) ** 2))),
  };
}
