/** What a reading of a cloud's price list gives, and what it needs. */
import type { CloudName, PlatformError } from "../../core/index.ts";
import type { InstanceShape, ListedPrice, PriceSheet } from "../catalog/index.ts";
import type { Downloads } from "./download.ts";

/** Clouds with a public price list that can be read. */
export const PRICED_CLOUDS = ["aws", "gcp", "azure"] as const;
export type PricedCloud = (typeof PRICED_CLOUDS)[number];

/** What is wanted of one cloud's list. */
export interface PriceQuery {
  /** Instance types whose prices are of use; prices of others are passed over. */
  readonly shapes: readonly InstanceShape[];
  /** Absent means every region that the list has. */
  readonly regions?: readonly string[];
}

/** What a reader works with. */
export interface PriceReaderContext {
  readonly downloads: Downloads;
  readonly nowMs: () => number;
  /** Told of each step that takes long: what is being done. */
  readonly onProgress: (doing: string) => void;
}

/** One region as it was read. */
export interface ReadSheet {
  readonly sheet: PriceSheet;
  /** Purchase options of which the reading is complete: what it lacks, the cloud does not sell. */
  readonly covers: readonly ListedPrice["purchase"][];
}

/** A part of a list that could not be read. */
export interface ReadFailure {
  /** For people, such as `aws us-east-1`. */
  readonly what: string;
  readonly error: PlatformError;
}

/** A cloud's prices, as far as they could be read. */
export interface PriceReading {
  readonly cloud: CloudName;
  /** By region, each once, in ascending order. */
  readonly sheets: readonly ReadSheet[];
  /** Empty when all that was asked for was read. */
  readonly failures: readonly ReadFailure[];
}

/** `2026-11-26` of an instant. */
export function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}
