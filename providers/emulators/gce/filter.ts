/**
 * Filters of listings: comparisons joined by AND, each perhaps in parentheses.
 *
 * `labels.pool=a`, `(status = RUNNING) AND (labels.pool:*)`, `name != "x"`. Two comparisons side
 * by side in parentheses are joined by AND as well. OR, NOT and orderings are not emulated and
 * refused, never passed over.
 *
 * Source: Compute Engine API reference, instances.list, parameter `filter` (read 2026-11).
 */
import { GceError } from "./gce-error.ts";

/** The value of a field such as `labels.pool`; undefined when it is absent. */
export type FieldOf<T> = (item: T, field: string) => string | undefined;

const COMPARISON =
  /^\(?\s*([A-Za-z][\w.-]*)\s*(!=|=|:)\s*("[^"()]*"|[^\s()"]+)\s*\)?(?:\s+AND\s+|\s*$|\s+(?=\())/;

/** The items that pass; an absent or empty filter passes all. @throws GceError `invalid`. */
export function applyFilter<T>(
  items: readonly T[],
  filter: string | undefined,
  fieldOf: FieldOf<T>,
): readonly T[] {
  const tests = testsOf(filter?.trim() ?? "", fieldOf);
  return items.filter((item) => tests.every((test) => test(item)));
}

function testsOf<T>(filter: string, fieldOf: FieldOf<T>): readonly ((item: T) => boolean)[] {
  const tests: ((item: T) => boolean)[] = [];
  for (let rest = filter; rest !== "";) {
    const [whole, field = "", operator = "", quoted = ""] = COMPARISON.exec(rest) ?? [];
    if (whole === undefined) {
      const message = `Invalid value for field 'filter': '${filter}'. Invalid list filter expression.`;
      throw new GceError(400, "invalid", message);
    }
    const wanted = quoted.replace(/^"(.*)"$/, "$1");
    tests.push((item) => compares(fieldOf(item, field), operator, wanted));
    rest = rest.slice(whole.length);
  }
  return tests;
}

function compares(value: string | undefined, operator: string, wanted: string): boolean {
  if (operator === "!=") return value !== wanted;
  if (operator === ":" && wanted === "*") return value !== undefined;
  return value === wanted;
}
