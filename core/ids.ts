/** Where ids come from; production draws them at random, tests and simulations count. */
export interface IdSource {
  /** A fresh id such as `co_01j9…`: the prefix, an underscore, 26 characters. */
  next(prefix: IdPrefix): string;
}

/** One prefix per kind of thing, so that an id says what it names. */
export type IdPrefix =
  "ap" | "ve" | "fn" | "ca" | "co" | "no" | "pl" | "ev" | "to" | "re" | "ba" | "ws";

/** Ids that count up from 1: equal runs give equal ids. */
export function countingIds(): IdSource {
  const counts = new Map<IdPrefix, number>();
  return {
    next: (prefix) => {
      const count = (counts.get(prefix) ?? 0) + 1;
      counts.set(prefix, count);
      return `${prefix}_${String(count).padStart(26, "0")}`;
    },
  };
}
