/**
 * `Filter.N` of the Describe actions: an item passes when each filter has a value that fits.
 *
 * Values may hold `*` (any characters) and `?` (one character), and `\` before a literal one.
 */
import { Ec2Error } from "../ec2-error.ts";
import { listOf, required, structsOf, type QueryParams } from "../query.ts";

/** What a filter looks at in an item: none, one or several texts. */
export type FilterTexts<T> = (item: T) => readonly string[];

/**
 * The items that pass every filter.
 *
 * @param filterOf what a filter of that name looks at; undefined for an unknown name.
 * @throws Ec2Error `InvalidParameterValue` for an unknown name.
 */
export function applyFilters<T>(
  items: readonly T[],
  params: QueryParams,
  filterOf: (name: string) => FilterTexts<T> | undefined,
): readonly T[] {
  const filters = structsOf(params, "Filter").map((filter) => {
    const name = required(filter, "Name");
    const textsOf = filterOf(name);
    if (textsOf === undefined) {
      throw new Ec2Error("InvalidParameterValue", `The filter '${name}' is invalid`);
    }
    return { textsOf, patterns: listOf(filter, "Value").map(patternOf) };
  });
  return items.filter((item) =>
    filters.every(({ textsOf, patterns }) =>
      textsOf(item).some((text) => patterns.some((pattern) => pattern.test(text))),
    ),
  );
}

function patternOf(value: string): RegExp {
  const source = value.replace(/\\[*?\\]|[^]/g, (token) => {
    if (token === "*") return "[^]*";
    if (token === "?") return "[^]";
    const literal = token.length === 2 ? token.slice(1) : token;
    return literal.replace(/[.*+?^${}()|[\]\\/]/, "\\$&");
  });
  return new RegExp(`^${source}$`);
}
