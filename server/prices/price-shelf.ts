/**
 * The prices of a data folder, as a running platform uses them: read at the start, and again when
 * the file has changed.
 *
 * A file that cannot be read leaves the last prices in force, or else the built-in ones; that is
 * told once a file. Prices older than `STALE_MS` are told once a day and stay in force: an old
 * price is nearer to the truth than none.
 */
import { statSync } from "node:fs";
import type { Clock } from "../../core/index.ts";
import type { PriceSheet } from "../../providers/index.ts";
import { readPriceSheets } from "./price-file.ts";

/** Prices are stale when they were read longer ago. */
export const STALE_MS = 24 * 3_600_000;

const LOOK_EVERY_MS = 60_000;

export interface PriceShelfOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly onError: (error: unknown, doing: string) => void;
}

/** The sheets that are in force. */
export class PriceShelf {
  readonly #options: PriceShelfOptions;
  #sheets: readonly PriceSheet[] = [];
  #seen = "";
  #lookedAtMs = -Infinity;
  #warnedAtMs = -Infinity;

  constructor(options: PriceShelfOptions) {
    this.#options = options;
  }

  /** All sheets; looks at the file at most once a minute. */
  readonly sheets = (): readonly PriceSheet[] => {
    const nowMs = this.#options.clock.nowMs();
    if (nowMs - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#lookedAtMs = nowMs;
      this.#look();
      this.#warn(nowMs);
    }
    return this.#sheets;
  };

  #look(): void {
    const { path, onError } = this.#options;
    try {
      const stat = statSync(path, { throwIfNoEntry: false });
      const seen = stat === undefined ? "" : `${stat.mtimeMs}/${stat.size}/${stat.ino}`;
      if (seen === this.#seen) return;
      this.#seen = seen;
      this.#sheets = readPriceSheets(path);
    } catch (error) {
      onError(error, "reading prices: the last ones stay in force");
    }
  }

  #warn(nowMs: number): void {
    const stale = staleSheets(this.#sheets, nowMs);
    if (stale.length === 0 || nowMs - this.#warnedAtMs < STALE_MS) return;
    this.#warnedAtMs = nowMs;
    const where = stale.map(({ cloud, region }) => `${cloud} ${region}`).join(", ");
    this.#options.onError(
      new Error(`prices of ${where} are older than a day; run \`flotilla catalog refresh\``),
      "looking at the age of prices: they stay in force",
    );
  }
}

/** The sheets that were read more than `STALE_MS` ago. */
export function staleSheets(sheets: readonly PriceSheet[], nowMs: number): readonly PriceSheet[] {
  return sheets.filter(({ readAtMs }) => nowMs - readAtMs > STALE_MS);
}
