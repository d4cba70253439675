/**
 * Least costs known, USD/h, by instance and seed: found by long runs (`--find-best 1`), kept by
 * hand, and only ever lowered.
 */
export const BEST_KNOWN_USD: Readonly<Record<string, number>> = {
  "s/2026": 3138.696148,
  "m/2026": 2323.939658,
  "l/2026": 6719.509315,
  "xl/2026": 17746.246412,
  "catalog/2026": 5746.267559,
};
