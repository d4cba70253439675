import type { Rng } from "../../core/index.ts";

/** A draw of the standard normal distribution; takes two uniform ones (Box & Muller 1958). */
export function normal(rng: Rng): number {
  return Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
}
