/**
 * The plain layout of a demand trace, for data of your own:
 *
 *     time_s,function,rate_rps
 *     0,chat,12.5
 *     0,embed,3
 *     600,chat,14
 *     600,embed,2.5
 *
 * `time_s` is when a step begins, in seconds from any origin; `rate_rps` are inputs per second
 * throughout the step. All steps are equally long, every function has a row in each, and times
 * do not go back. Functions come in any order within a time; lines that start with `#` and
 * columns with other names are passed over.
 */
import { MS_PER_SECOND } from "../../core/index.ts";
import { Cells, csvError, readCsv } from "../../documents/index.ts";
import { requireColumns, TIME_S_MAX } from "./columns.ts";
import type { DemandTrace } from "./trace.ts";

const COLUMNS = ["time_s", "function", "rate_rps"] as const;

/** Steps are told apart to the millisecond. */
const STEP_MS_MIN = 1;

/**
 * The trace of a table; its windows are its steps, and nothing is imputed.
 *
 * @throws PlatformError `invalid_request` with file, line and column of what is wrong.
 */
export function readCsvTrace(text: string, file: string, name: string = file): DemandTrace {
  const { columns, rows } = readCsv(text, file);
  requireColumns({ file, columns, needed: COLUMNS, layout: "a demand trace" });
  if (rows.length === 0) throw csvError(file, 1, "there is no row below the header");
  const steps = new Steps(file);
  for (const row of rows) steps.add(new Cells(row, file), row.line);
  const { stepMs, rates } = steps.finish();
  return {
    name,
    source: file,
    stepMs,
    windowMs: stepMs,
    series: [...rates].map(([functionId, perSecond]) => ({
      functionId,
      perSecond: Float64Array.from(perSecond),
    })),
    imputed: new Uint8Array(rates.values().next().value?.length ?? 0),
  };
}

/** Rows so far, step by step. */
class Steps {
  readonly #file: string;
  readonly #rates = new Map<string, number[]>();
  readonly #timesS: number[] = [];
  #line = 1;

  constructor(file: string) {
    this.#file = file;
  }

  add(cells: Cells, line: number): void {
    const timeS = cells.amount("time_s", TIME_S_MAX);
    const functionId = cells.text("function");
    const rate = cells.amount("rate_rps");
    const nowS = this.#timesS.at(-1);
    if (nowS === undefined || timeS !== nowS) this.#begin(timeS, cells);
    const rates = this.#rates.get(functionId) ?? [];
    if (this.#timesS.length === 1) this.#rates.set(functionId, rates);
    else if (!this.#rates.has(functionId)) {
      throw cells.error(
        `function ${functionId} has no row at time_s ${this.#timesS[0] ?? 0}: give it a row in ` +
          "every step, with rate_rps 0 where nothing was asked",
      );
    }
    if (rates.length === this.#timesS.length) {
      throw cells.error(`function ${functionId} has two rows at time_s ${timeS}: remove one`);
    }
    rates.push(rate);
    this.#line = line;
  }

  /** @throws PlatformError when there is one step only, or the last one is not whole. */
  finish(): { readonly stepMs: number; readonly rates: ReadonlyMap<string, readonly number[]> } {
    const [first = 0, second] = this.#timesS;
    if (second === undefined) {
      const problem = `all rows are at time_s ${first}: it takes two times to know a step's length`;
      throw csvError(this.#file, this.#line, problem);
    }
    this.#requireWhole();
    return { stepMs: stepMsOf(first, second), rates: this.#rates };
  }

  #begin(timeS: number, cells: Cells): void {
    const [first = timeS, second = timeS] = this.#timesS;
    const nowS = this.#timesS.at(-1);
    if (nowS !== undefined) {
      if (timeS < nowS) {
        throw cells.error(`time_s is ${timeS} after ${nowS}: sort the rows by time_s`);
      }
      const stepMs = stepMsOf(first, second);
      const wanted = this.#timesS.length < 2 ? stepMsOf(nowS, timeS) : stepMs;
      if (stepMsOf(nowS, timeS) !== wanted) {
        throw cells.error(
          `time_s is ${timeS} after ${nowS}, but steps are ${wanted / MS_PER_SECOND} s long: ` +
            `insert rows for time_s ${nowS + wanted / MS_PER_SECOND}`,
        );
      }
      if (wanted < STEP_MS_MIN) {
        throw cells.error(`time_s is ${timeS} after ${nowS}: a step takes at least 0.001 s`);
      }
      this.#requireWhole();
    }
    this.#timesS.push(timeS);
  }

  /** Every function has a row in the step that ends. */
  #requireWhole(): void {
    for (const [functionId, rates] of this.#rates) {
      if (rates.length === this.#timesS.length) continue;
      throw csvError(
        this.#file,
        this.#line,
        `function ${functionId} has no row at time_s ${this.#timesS.at(-1) ?? 0}: give it one, ` +
          "with rate_rps 0 where nothing was asked",
      );
    }
  }
}

function stepMsOf(fromS: number, untilS: number): number {
  return Math.round(untilS * MS_PER_SECOND) - Math.round(fromS * MS_PER_SECOND);
}
