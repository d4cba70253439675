/**
 * On-demand prices in the EC2 price list of one region, in its CSV form.
 *
 * The list of a large region has hundreds of megabytes, more than fit into one string: it is read
 * in a stream, row by row. The first rows hold facts about the list in two columns; the row that
 * begins with `SKU` names the columns.
 *
 * Source: AWS Billing user guide, "Reading the service price list file for an AWS service" (read
 * 2026-11), for the layout; the values that stand for a plain Linux machine ("Shared", "NA",
 * "Used") are those of the list itself.
 */
import { parse } from "csv-parse";
import { Readable } from "node:stream";
import { messageOf, microUsdFromUsd, PlatformError } from "../../core/index.ts";
import type { ListedPrice } from "../catalog/index.ts";
import type { Bytes } from "./download.ts";

/** What the list of a region says. */
export interface AwsPriceList {
  /** As the list has it, such as `2026-11-20T18:03:11Z`; empty when it does not say. */
  readonly publishedAt: string;
  /** On-demand, one an instance type. */
  readonly prices: readonly ListedPrice[];
}

/** What a row must say, by column, to be the on-demand price of a plain Linux machine. */
const WANTED = {
  TermType: ["OnDemand"],
  Unit: ["Hrs"],
  Currency: ["USD"],
  "Product Family": ["Compute Instance"],
  Tenancy: ["Shared"],
  "Operating System": ["Linux"],
  "Pre Installed S/W": ["NA", ""],
  CapacityStatus: ["Used"],
} as const;

/** The same for columns that older lists do not have. */
const WANTED_IF_THERE = {
  MarketOption: ["OnDemand", ""],
  "Location Type": ["AWS Region"],
} as const;

const TYPE = "Instance Type";
const PRICE = "PricePerUnit";
const REGION = "Region Code";

/**
 * Reads a list. Of several prices for one type the highest counts, so that no bill is higher than
 * planned. O(bytes), in constant memory.
 *
 * @throws PlatformError `unavailable` for a list that lacks columns (not retryable) or is cut off.
 */
export async function readAwsPriceList(
  bytes: Bytes,
  of: { readonly region: string; readonly instanceTypes: ReadonlySet<string> },
): Promise<AwsPriceList> {
  const prices = new Map<string, number>();
  let publishedAt = "";
  let columns: Columns | undefined;
  for await (const row of rowsOf(bytes)) {
    if (columns !== undefined) {
      const price = priceOf(row, columns, of);
      if (price === undefined) continue;
      const [instanceType, microUsd] = price;
      prices.set(instanceType, Math.max(microUsd, prices.get(instanceType) ?? 0));
    } else if (row[0] === "SKU") columns = columnsOf(row);
    else if (row[0] === "Publication Date") publishedAt = row[1] ?? "";
  }
  if (columns === undefined) throw unusable("it has no row that begins with SKU", true);
  return {
    publishedAt,
    prices: [...prices].map(([instanceType, microUsdPerHour]) => ({
      instanceType,
      purchase: "on-demand",
      microUsdPerHour,
    })),
  };
}

type Row = readonly string[];

interface Columns {
  readonly type: number;
  readonly price: number;
  readonly region: number;
  /** What columns must hold. */
  readonly wanted: readonly (readonly [column: number, values: readonly string[]])[];
}

async function* rowsOf(bytes: Bytes): AsyncGenerator<Row> {
  const parser = parse({ bom: true, relax_column_count: true, skip_empty_lines: true });
  const source = Readable.from(bytes);
  source.on("error", (error) => parser.destroy(error));
  try {
    for await (const row of source.pipe(parser) as AsyncIterable<Row>) yield row;
  } catch (error) {
    if (error instanceof PlatformError) throw error;
    throw unusable(`it is cut off or no CSV (${messageOf(error)})`, true, error);
  } finally {
    source.destroy();
  }
}

function columnsOf(header: Row): Columns {
  const indexes = new Map(header.map((name, index) => [name, index]));
  const indexOf = (name: string): number => {
    const index = indexes.get(name);
    if (index === undefined) throw unusable(`it has no column "${name}"`, false);
    return index;
  };
  const must = Object.entries(WANTED).map(([name, values]) => [indexOf(name), values] as const);
  const may = Object.entries(WANTED_IF_THERE)
    .filter(([name]) => indexes.has(name))
    .map(([name, values]) => [indexOf(name), values] as const);
  return {
    type: indexOf(TYPE),
    price: indexOf(PRICE),
    region: indexOf(REGION),
    wanted: [...must, ...may],
  };
}

function priceOf(
  row: Row,
  { type, price, region, wanted }: Columns,
  of: { readonly region: string; readonly instanceTypes: ReadonlySet<string> },
): readonly [instanceType: string, microUsd: number] | undefined {
  const instanceType = row[type] ?? "";
  if (!of.instanceTypes.has(instanceType) || row[region] !== of.region) return undefined;
  if (!wanted.every(([column, values]) => values.includes(row[column] ?? ""))) return undefined;
  const microUsd = microUsdFromUsd(Number(row[price]));
  // Free rows are those of capacity that was paid for elsewhere.
  return microUsd > 0 ? [instanceType, microUsd] : undefined;
}

function unusable(why: string, retryable: boolean, cause?: unknown): PlatformError {
  return new PlatformError(`the EC2 price list cannot be used: ${why}`, {
    code: "unavailable",
    retryable,
    ...(cause === undefined ? {} : { cause }),
  });
}
