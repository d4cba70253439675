/** What `flotilla catalog refresh` says: for people and for programs. */
import { usdFromMicroUsd } from "../../../core/index.ts";
import type { PriceChange, PricedCloud } from "../../../providers/prices/index.ts";
import type { RefreshedRegion, RefreshOutcome } from "../../prices/refresh.ts";
import { columns } from "../columns.ts";

/** A cloud that was not read, and why that is in order. */
export interface SkippedCloud {
  readonly cloud: PricedCloud;
  readonly reason: string;
}

export interface RefreshReport {
  readonly outcome: RefreshOutcome;
  readonly skipped: readonly SkippedCloud[];
  /** Where the prices were written; absent when they were not. */
  readonly path?: string;
}

/** Changes that are shown when the prices are written; a dry run shows all. */
const CHANGES_SHOWN = 20;

/** The report for people: a line a region, changes, and what was kept back. */
export function refreshText(
  { outcome, path }: RefreshReport,
  { isDryRun }: { readonly isDryRun: boolean },
): string {
  const { regions, kept } = outcome;
  const changes = regions.flatMap((region) => region.changes.map((change) => ({ region, change })));
  const shown = changes
    .toSorted((one, other) => sizeOf(other.change) - sizeOf(one.change))
    .slice(0, isDryRun ? changes.length : CHANGES_SHOWN);
  const more = changes.length - shown.length;
  const end =
    path === undefined
      ? isDryRun
        ? "Nothing was written: this was a dry run."
        : "Nothing was written."
      : `✔ Prices of ${regions.length} regions are in ${path}.`;
  return [
    ...regions.map(regionLine),
    ...(shown.length === 0 ? [] : [changeTable(shown)]),
    ...(more > 0 ? [`… and ${more} smaller changes (--json has all)`] : []),
    ...regions.flatMap(heldLines),
    ...kept.map(({ what, reason }) => `✖ ${what}: ${reason}; its last prices stay in force`),
    end,
  ].join("\n");
}

/** The report for programs. */
export function refreshDocument({ outcome, skipped, path }: RefreshReport): unknown {
  return {
    path: path ?? null,
    regions: outcome.regions.map(({ sheet, changes, held, gone }) => ({
      cloud: sheet.cloud,
      region: sheet.region,
      source: sheet.source,
      readAtMs: sheet.readAtMs,
      priceCount: sheet.prices.length,
      changes,
      held,
      gone,
    })),
    kept: outcome.kept,
    skipped,
  };
}

function regionLine({ sheet, changes, held, gone }: RefreshedRegion): string {
  const isNew = ({ beforeMicroUsdPerHour }: PriceChange): boolean =>
    beforeMicroUsdPerHour === undefined;
  const newCount = changes.filter(isNew).length;
  const counts = [
    `${newCount} new`,
    `${changes.length - newCount} changed`,
    ...(gone.length === 0 ? [] : [`${gone.length} gone`]),
    ...(held.length === 0 ? [] : [`${held.length} held back`]),
  ];
  const { cloud, region, prices, source } = sheet;
  return `✔ ${cloud} ${region}: ${prices.length} prices (${counts.join(", ")}) from ${source}`;
}

/** How far a price has moved, whichever way; new ones come last. */
function sizeOf({
  beforeMicroUsdPerHour: before,
  afterMicroUsdPerHour: after,
}: PriceChange): number {
  return before === undefined ? -1 : Math.abs(Math.log(after / before));
}

interface ShownChange {
  readonly region: RefreshedRegion;
  readonly change: PriceChange;
}

function changeTable(shown: readonly ShownChange[]): string {
  const rows = shown.map(({ region, change }) => {
    const { beforeMicroUsdPerHour: before, afterMicroUsdPerHour: after } = change;
    return [
      `${region.sheet.cloud} ${region.sheet.region}`,
      `${change.instanceType} ${change.purchase}`,
      before === undefined ? "-" : dollars(before),
      dollars(after),
      before === undefined ? "new" : percent(after / before - 1),
    ];
  });
  return `\n${columns(["WHERE", "MACHINE", "WAS/H", "IS/H", "CHANGE"], rows)}\n`;
}

function heldLines({ sheet, held }: RefreshedRegion): readonly string[] {
  return held.map(
    ({ instanceType, purchase, listedMicroUsdPerHour, keptMicroUsdPerHour, reason }) => {
      const what = `${sheet.cloud} ${sheet.region} ${instanceType} ${purchase}`;
      const listed = dollars(listedMicroUsdPerHour);
      const stays =
        keptMicroUsdPerHour === undefined
          ? "there is no other"
          : `${dollars(keptMicroUsdPerHour)} stays in force (--accept-jumps takes it)`;
      return `! ${what}: ${listed} an hour is held back: ${reason}; ${stays}`;
    },
  );
}

function dollars(microUsd: number): string {
  return `$${usdFromMicroUsd(microUsd).toFixed(4)}`;
}

function percent(fraction: number): string {
  return `${fraction > 0 ? "+" : ""}${(fraction * 100).toFixed(1)} %`;
}
