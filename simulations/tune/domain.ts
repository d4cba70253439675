/**
 * What values a parameter may take, and how they lie on [0, 1], where searches work.
 *
 * A range is laid on it evenly, or evenly in logs; whole numbers and choices share it out in equal
 * parts, so that each is drawn equally often.
 */
import { assert } from "../../core/index.ts";

export type Setting = number | string | boolean;

export type Domain =
  | {
      readonly kind: "range";
      readonly from: number;
      readonly to: number;
      readonly isLog: boolean;
      readonly isWhole: boolean;
    }
  | { readonly kind: "choice"; readonly values: readonly Setting[] };

/** Short to read, and finer than any search of a few hundred flights can tell apart. */
const DIGITS = 4;

/** The value at a place. @param place 0..1 */
export function settingAt(domain: Domain, place: number): Setting {
  const within = Math.min(1, Math.max(0, place));
  if (domain.kind === "choice") {
    const { values } = domain;
    const value = values[Math.min(values.length - 1, Math.floor(within * values.length))];
    assert(value !== undefined, "a choice has at least one value");
    return value;
  }
  const { from, to, isLog, isWhole } = domain;
  if (isWhole) {
    const [low, high] = isLog ? [Math.log(from), Math.log(to + 1)] : [from, to + 1];
    const raw = low + within * (high - low);
    return Math.min(to, Math.max(from, Math.floor(isLog ? Math.exp(raw) : raw)));
  }
  const value = isLog ? from * (to / from) ** within : from + within * (to - from);
  return Math.min(to, Math.max(from, Number(value.toPrecision(DIGITS))));
}

/** How many values there are; `Infinity` for a range of numbers. */
export function sizeOf(domain: Domain): number {
  if (domain.kind === "choice") return domain.values.length;
  const { from, to, isWhole } = domain;
  if (from === to) return 1;
  return isWhole ? to - from + 1 : Infinity;
}
