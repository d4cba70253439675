/** Hours, days and months of UTC, by which usage is kept and told. */

export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** When the month of a time began. */
export function monthStartOf(atMs: number): number {
  const date = new Date(atMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

/** When the month after that of a time begins. */
export function monthEndOf(atMs: number): number {
  const date = new Date(atMs);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** When the hour of a time began. */
export function hourOfTime(atMs: number): number {
  return Math.floor(atMs / HOUR_MS) * HOUR_MS;
}

/** A time cut at the full hours; empty when it has no length. */
export function hoursOf(
  fromMs: number,
  toMs: number,
): readonly { readonly hourMs: number; readonly fromMs: number; readonly toMs: number }[] {
  const hours = [];
  for (let at = fromMs; at < toMs;) {
    const hourMs = hourOfTime(at);
    const end = Math.min(toMs, hourMs + HOUR_MS);
    hours.push({ hourMs, fromMs: at, toMs: end });
    at = end;
  }
  return hours;
}
