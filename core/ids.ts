/** Where ids come from; production draws them at random, tests and simulations count. */
export interface IdSource {
  /** A fresh id such as `co_01j9…`: the prefix, an underscore, 26 characters. */
  next(prefix: IdPrefix): string;
}

/** One prefix per kind of thing, so that an id says what it names. */
export type IdPrefix =
  | "ap"
  | "ve"
  | "fn"
  | "ca"
  | "co"
  | "no"
  | "pl"
  | "ev"
  | "to"
  | "re"
  | "ba"
  | "ws"
  | "vo"
  | "up"
  | "sh";

/**
 * Ids that count up from 1: equal runs give equal ids.
 *
 * @param counts The last number of each prefix, kept up to date; ids go on from those in it.
 */
export function countingIds(counts = new Map<IdPrefix, number>()): IdSource {
  return {
    next: (prefix) => {
      const count = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, count);
      return `${prefix}_${String(count).padStart(26, "0")}`;
    },
  };
}
