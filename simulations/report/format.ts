/**
 * Numbers as people read them, the same in every report and place: no locale, `,` between
 * thousands, the unit in the header. Figures that are not there read `–`.
 */
import { MS_PER_HOUR, MS_PER_SECOND, usdFromMicroUsd } from "../../core/index.ts";
import type { Spread } from "./compare.ts";
import type { Metric, MetricUnit } from "./metrics.ts";

/** What stands where there is no figure. */
export const NO_FIGURE = "–";

const UNIT_NAMES: Record<MetricUnit, string> = {
  microUsd: "USD",
  ratio: "",
  fraction: "%",
  ms: "s",
  count: "",
  perHour: "1/h",
  gpuSeconds: "GPU-s",
  hours: "h",
};

const FORMATS: Record<MetricUnit, (value: number) => string> = {
  microUsd: usdText,
  ratio: (value) => fixedText(value, 3),
  fraction: (value) => percentText(value),
  ms: secondsText,
  count: countText,
  perHour: countText,
  gpuSeconds: countText,
  hours: countText,
};

/** Label and unit: `wait p99, s`. */
export function headerOf({ label, unit }: Pick<Metric, "label" | "unit">): string {
  return UNIT_NAMES[unit] === "" ? label : `${label}, ${UNIT_NAMES[unit]}`;
}

/** A unit's short name, such as `USD`; empty for plain numbers. */
export function unitNameOf(unit: MetricUnit): string {
  return UNIT_NAMES[unit];
}

/** A figure in its unit, without the unit's name. */
export function valueText(value: number | undefined, unit: MetricUnit): string {
  return value === undefined ? NO_FIGURE : FORMATS[unit](value);
}

/** `mean (min–max)`, or the mean alone when all seeds agree to the shown digits. */
export function spreadText(spread: Spread | undefined, unit: MetricUnit): string {
  const mean = valueText(spread?.mean, unit);
  const range = rangeText(spread, unit);
  return range === "" ? mean : `${mean} (${range})`;
}

/**
 * Spreads of one column, so padded that their means stand under each other when each text
 * is set to the right.
 */
export function spreadColumn(
  spreads: readonly (Spread | undefined)[],
  unit: MetricUnit,
): readonly string[] {
  const tails = spreads.map((spread) => {
    const range = rangeText(spread, unit);
    return range === "" ? "" : ` (${range})`;
  });
  const width = Math.max(0, ...tails.map((tail) => tail.length));
  return spreads.map(
    (spread, row) => valueText(spread?.mean, unit) + (tails[row] ?? "").padStart(width),
  );
}

/** `min–max`; empty when there is no spread to show. */
export function rangeText(spread: Spread | undefined, unit: MetricUnit): string {
  const min = valueText(spread?.min, unit);
  const max = valueText(spread?.max, unit);
  return min === max ? "" : `${min}–${max}`;
}

/** Dollars: whole from 1,000, cents from 1, and tenths of a milli-dollar below. */
export function usdText(microUsd: number): string {
  const usd = usdFromMicroUsd(microUsd);
  const size = Math.abs(usd);
  if (size >= 1_000) return fixedText(usd, 0);
  return fixedText(usd, size >= 1 || size === 0 ? 2 : 4);
}

/** Seconds with two digits behind the point; whole ones from 1,000. */
export function secondsText(ms: number): string {
  const seconds = ms / MS_PER_SECOND;
  return fixedText(seconds, seconds >= 1_000 ? 0 : 2);
}

/** A fraction in percent, without the sign. */
export function percentText(fraction: number, digits = 2): string {
  return fixedText(fraction * 100, digits);
}

/** A count, which a mean over seeds may make broken: one digit then, below 100. */
export function countText(count: number): string {
  return fixedText(count, Number.isInteger(count) || Math.abs(count) >= 100 ? 0 : 1);
}

/** Fixed digits behind the point, `,` between thousands. */
export function fixedText(value: number, digits: number): string {
  const [whole = "", rest] = Math.abs(value).toFixed(digits).split(".");
  const grouped = whole.replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
  const text = rest === undefined ? grouped : `${grouped}.${rest}`;
  return value < 0 && Number(value.toFixed(digits)) !== 0 ? `-${text}` : text;
}

/** A length of time in the unit that suits it: `14 days`, `36 hours`, `10 minutes`. */
export function durationText(ms: number): string {
  const hours = ms / MS_PER_HOUR;
  if (hours >= 48) return plural(hours / 24, "day");
  return hours >= 2 ? plural(hours, "hour") : plural(hours * 60, "minute");
}

/** A count and its noun, in the plural where it is not one. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** What every report says of the runs that it is made of. */
export const IDENTITY_RULE = "a run is fixed by (commit, scenario, seed)";

/** The commit, scenario and seeds that fix the runs, in one line. */
export function identityText(run: {
  readonly world: string;
  readonly seeds: readonly number[];
  readonly commit?: string;
}): string {
  const noun = run.seeds.length === 1 ? "seed" : "seeds";
  const commit = run.commit === undefined ? "" : ` · commit ${run.commit}`;
  return `${run.world} · ${noun} ${run.seeds.join(", ")}${commit}`;
}
