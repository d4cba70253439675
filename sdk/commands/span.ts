/** Spans of time as people write them. */
import { UsageError } from "../errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `90s`, `10m`, `12h` or `30d` in ms. @throws UsageError for anything else */
export function spanMsOf(text: string, option: string): number {
  const [, digits, unit] = /^([0-9]{1,6})([smhd])$/.exec(text) ?? [];
  const unitMs = unit === undefined ? undefined : UNITS_MS[unit];
  if (digits !== undefined && unitMs !== undefined && Number(digits) > 0) {
    return Number(digits) * unitMs;
  }
  throw new UsageError(
    `${option} "${text}" is no span of time`,
    "write it as 90s, 10m, 12h or 30d",
  );
}
