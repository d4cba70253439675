/** `flotilla catalog refresh`: reads the clouds' price lists and keeps what is believed. */
import { resolve } from "node:path";
import { createRng } from "../../../core/index.ts";
import { catalogShapes } from "../../../providers/index.ts";
import { Downloads, type PricedCloud } from "../../../providers/prices/index.ts";
import type { PlatformConfig } from "../../config.ts";
import { loadConfig } from "../../load-config.ts";
import { priceFilePath, readPriceSheets, writePriceSheets } from "../../prices/price-file.ts";
import { refreshPrices, type RefreshOptions, type RefreshOutcome } from "../../prices/refresh.ts";
import { systemClock } from "../../system-clock.ts";
import { CommandError, EXIT, settle } from "../outcome.ts";
import { nextStop } from "../stop-signal.ts";
import { cloudsOf, regionsOf, type RefreshCommandOptions } from "./options.ts";
import { refreshDocument, refreshText, type SkippedCloud } from "./refresh-text.ts";

/**
 * Reads the lists, prints what changed and writes the prices. Exit codes: 0 when all that was
 * asked for was read; 1 when a part was not, whose last prices stay in force; 6 when nothing was;
 * 2 for wrong options; 130 when interrupted, with nothing written.
 */
export async function runCatalogRefresh(options: RefreshCommandOptions): Promise<void> {
  await settle(async () => {
    const stopping = new AbortController();
    const stopped = nextStop(() => undefined).then(() => {
      stopping.abort();
      throw new CommandError("interrupted", "interrupted; no price was changed");
    });
    await Promise.race([refreshAndPrint(options, stopping.signal), stopped]);
  });
}

async function refreshAndPrint(options: RefreshCommandOptions, signal: AbortSignal): Promise<void> {
  const config = configOf(options);
  const path = options.out === undefined ? priceFilePath(config.dataDir) : resolve(options.out);
  const { clouds, skipped } = choose(options, config);
  for (const { cloud, reason } of skipped) console.error(`• ${cloud} is left out: ${reason}`);
  const regions = regionsByCloud(clouds, regionsOf(options), config);
  const outcome = await refreshPrices({
    clouds,
    regions,
    sources: config.priceSources,
    known: readPriceSheets(path),
    acceptsJumps: options.acceptJumps === true,
    context: {
      downloads: new Downloads({ clock: systemClock, rng: createRng(process.pid), signal }),
      nowMs: () => systemClock.nowMs(),
      onProgress: (doing) => console.error(`• ${doing}`),
    },
  });
  signal.throwIfAborted();
  if (outcome.regions.length === 0 && outcome.kept.length === 0) {
    throw new CommandError("not_found", "no price list has what was asked for", {
      nextStep: "`flotilla catalog list` shows the clouds and regions that there are",
    });
  }
  const isWritten = options.dryRun !== true && outcome.regions.length > 0;
  if (isWritten) writePriceSheets(path, outcome.sheets);
  const report = { outcome, skipped, ...(isWritten ? { path } : {}) };
  if (options.json === true) console.log(JSON.stringify(refreshDocument(report)));
  else console.log(refreshText(report, { isDryRun: options.dryRun === true }));
  process.exitCode = exitCodeOf(outcome);
}

function exitCodeOf({ regions, kept }: RefreshOutcome): number {
  if (kept.length === 0) return 0;
  return regions.length === 0 ? EXIT.unreachable : EXIT.failed;
}

function configOf({ data }: RefreshCommandOptions): PlatformConfig {
  return loadConfig(data === undefined ? {} : { dataDir: data }, process.env);
}

/**
 * The clouds to read. One that cannot be read by default (no key, no machine type known) is left
 * out, unless it was asked for by name.
 */
function choose(
  options: RefreshCommandOptions,
  { priceSources }: PlatformConfig,
): { readonly clouds: readonly PricedCloud[]; readonly skipped: readonly SkippedCloud[] } {
  const asked = cloudsOf(options);
  const isNamed = (options.cloud ?? []).length > 0;
  const skipped = asked.flatMap((cloud) => {
    if (catalogShapes(cloud).length === 0) {
      return [{ cloud, reason: "this version knows no machine type of it" }];
    }
    if (cloud !== "gcp" || isNamed || priceSources.gcpKey !== undefined) return [];
    const reason = "its list needs an API key (FLOTILLA_GCP_PRICE_KEY)";
    return [{ cloud, reason }];
  });
  const left = new Set(skipped.map(({ cloud }) => cloud));
  return { clouds: asked.filter((cloud) => !left.has(cloud)), skipped };
}

/** AWS has a list of hundreds of megabytes a region: those are read where it rents, if it does. */
function regionsByCloud(
  clouds: readonly PricedCloud[],
  named: readonly string[] | undefined,
  { awsRegions }: PlatformConfig,
): RefreshOptions["regions"] {
  if (named !== undefined) return Object.fromEntries(clouds.map((cloud) => [cloud, named]));
  return awsRegions.length === 0 ? {} : { aws: awsRegions };
}
