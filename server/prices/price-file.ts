/**
 * `prices.json` in the data folder: the prices read from the clouds' lists, a sheet a region.
 *
 * Written whole and then renamed into place, so that who reads it has the old one or the new one.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { CLOUD_NAMES, messageOf, PlatformError } from "../../core/index.ts";
import type { PriceSheet } from "../../providers/index.ts";

/** Changes when older versions could not read the file. */
const FORMAT = 1;

const WHOLE_ABOVE_ZERO = z.number().int().positive();

const FILE = z.object({
  format: z.literal(FORMAT),
  sheets: z.array(
    z.object({
      cloud: z.enum(CLOUD_NAMES),
      region: z.string().min(1),
      source: z.string(),
      readAtMs: WHOLE_ABOVE_ZERO,
      prices: z.array(
        z.object({
          instanceType: z.string().min(1),
          purchase: z.enum(["on-demand", "spot"]),
          microUsdPerHour: WHOLE_ABOVE_ZERO,
          interruptions: z.enum(["<5%", "5-10%", "10-15%", "15-20%", ">20%"]).exactOptional(),
          readAtMs: WHOLE_ABOVE_ZERO.exactOptional(),
        }),
      ),
    }),
  ),
}) satisfies z.ZodType<{ readonly sheets: readonly PriceSheet[] }>;

/** Where the prices of a data folder are kept. */
export function priceFilePath(dataDir: string): string {
  return join(dataDir, "prices.json");
}

/**
 * The sheets of a file, sorted by cloud and region; none when there is no file.
 *
 * @throws PlatformError `invalid_request` for a file that is damaged or of another format.
 */
export function readPriceSheets(path: string): readonly PriceSheet[] {
  if (!existsSync(path)) return [];
  try {
    return FILE.parse(JSON.parse(readFileSync(path, "utf8"))).sheets;
  } catch (error) {
    const [issue] = error instanceof z.ZodError ? error.issues : [];
    const why =
      issue === undefined ? messageOf(error) : `${issue.path.join(".")}: ${issue.message}`;
    throw new PlatformError(
      `cannot use the prices in ${path} (${why}); remove the file and run ` +
        "`flotilla catalog refresh`",
      { code: "invalid_request", retryable: false, cause: error },
    );
  }
}

/** Replaces the file. @throws PlatformError `invalid_request` when it cannot be written */
export function writePriceSheets(path: string, sheets: readonly PriceSheet[]): void {
  const sorted = sheets.toSorted((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.new`, `${JSON.stringify({ format: FORMAT, sheets: sorted })}\n`);
    renameSync(`${path}.new`, path);
  } catch (error) {
    const message = `cannot write the prices to ${path} (${messageOf(error)})`;
    throw new PlatformError(message, { code: "invalid_request", retryable: false, cause: error });
  }
}

function keyOf({ cloud, region }: PriceSheet): string {
  return `${cloud}/${region}`;
}
