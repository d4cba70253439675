/**
 * Places in a policy file that a search may set, by the names that people give them.
 *
 * - A path of the file, its first sections left out if what is left names one place only:
 *   `optimizer.churnUsd`, `churnUsd`, `buffers.quantileMax`.
 * - `*` in place of a key of a map sets all that the world has: `buffers.byGpuType.*.gpuCountMin`.
 * - Shares are named by what they are of: `shares.purchase.spot.maxFraction`.
 * - `spot.maxShare` and its like: shares of a purchase option.
 * - `buffers.quantile` (also `buffers.*.quantile`): the quantile itself, both bounds at once.
 */
import { PlatformError } from "../../core/index.ts";
import { allowedAt, nearestWord, type Allowed } from "../../documents/index.ts";

/** One place: keys of maps, and in lists of shares the rule by what it is of. */
export type Step = string | { readonly of: string; readonly name: string };
export type Place = readonly Step[];

/** What a name stands for: all places get the same value. */
export interface Target {
  readonly places: readonly Place[];
  /** What the file allows there. */
  readonly allowed: Allowed;
  /** Set as well where a policy leaves it at 0, for without it the value does nothing. */
  readonly needs?: { readonly place: Place; readonly value: number };
}

export interface PolicySpace {
  /** The JSON schema of policy files. */
  readonly schema: Allowed;
  /** What `*` stands for, by the path of its map, such as GPU types of the world. */
  readonly keys: Readonly<Record<string, readonly string[]>>;
}

const PURCHASES = ["on-demand", "spot", "reserved"];
const SHARES = ["optimizer", "shares"];
const BUFFERS = ["optimizer", "buffers"];
/** A dollar a minute, as in the balanced example. */
const WAIT_USD_PER_GPU_HOUR = 60;
const HINTS_MAX = 3;

/** The place that a name means. @throws PlatformError `invalid_request` with the nearest names. */
export function targetOf(name: string, space: PolicySpace): Target {
  const keys = name.split(".");
  return (
    quantileTarget(keys, space) ??
    shareTarget(keys, space) ??
    pathTarget(name, keys, space) ??
    unknown(name, space)
  );
}

/** Every name without wildcards, as help and for hints. */
export function placeNames({ schema }: PolicySpace): readonly string[] {
  return [
    "buffers.quantile",
    "spot.maxShare",
    "spot.minShare",
    "shares.cloud.NAME.maxFraction",
    "shares.region.NAME.maxFraction",
    ...leavesBelow(schema, []).map(({ path }) => path.join(".")),
  ];
}

function quantileTarget(keys: readonly string[], { schema }: PolicySpace): Target | undefined {
  const short = keys[0] === "optimizer" ? keys.slice(1) : keys;
  const isQuantile = ["buffers.quantile", "buffers.*.quantile"].includes(short.join("."));
  const { node } = allowedAt(schema, [...BUFFERS, "quantileMax"]);
  if (!isQuantile || node === undefined) return undefined;
  return {
    places: [
      [...BUFFERS, "quantileMin"],
      [...BUFFERS, "quantileMax"],
    ],
    allowed: node,
    needs: { place: [...BUFFERS, "waitUsdPerGpuHour"], value: WAIT_USD_PER_GPU_HOUR },
  };
}

function shareTarget(keys: readonly string[], { schema }: PolicySpace): Target | undefined {
  const rule = allowedAt(schema, SHARES).node?.items?.properties ?? {};
  const asked = shareOf(keys[0] === "optimizer" ? keys.slice(1) : keys);
  if (asked === undefined) return undefined;
  const { of, name, bound } = asked;
  const allowed = bound.endsWith("Fraction") ? rule[bound] : undefined;
  if (allowed === undefined || rule["of"]?.enum?.includes(of) !== true) return undefined;
  return { places: [[...SHARES, { of, name }, bound]], allowed };
}

/** `spot.maxShare` or `shares.cloud.aws.maxFraction`; names of regions may have points. */
function shareOf([first = "", second = "", ...rest]: readonly string[]):
  { readonly of: string; readonly name: string; readonly bound: string } | undefined {
  if (PURCHASES.includes(first) && rest.length === 0) {
    return { of: "purchase", name: first, bound: second.replace(/Share$/, "Fraction") };
  }
  const [bound, ...name] = rest.toReversed();
  if (first !== "shares" || bound === undefined || name.length === 0) return undefined;
  return { of: second, name: name.toReversed().join("."), bound };
}

/** Paths may leave out their beginning where what is left is the end of one path only. */
function pathTarget(name: string, keys: readonly string[], space: PolicySpace): Target | undefined {
  const leaves = leavesBelow(space.schema, []).filter(({ path }) => endsWith(path, keys));
  const whole = leaves.filter(({ path }) => path.length === keys.length);
  const [leaf, ...others] = whole.length > 0 ? whole : leaves;
  if (leaf === undefined) return undefined;
  if (others.length > 0) {
    const all = [leaf, ...others].map(({ path }) => path.join("."));
    throw invalid(`${name} may be ${all.slice(0, HINTS_MAX).join(" or ")}: write more of the path`);
  }
  const given = [...leaf.path.slice(0, leaf.path.length - keys.length), ...keys];
  return { places: placesOf(name, leaf.path, given, space), allowed: leaf.node };
}

/** The places of a path, `*` standing for all keys that there are. */
function placesOf(
  name: string,
  path: readonly string[],
  given: readonly string[],
  { schema, keys }: PolicySpace,
): readonly Place[] {
  const at = path.indexOf("*");
  if (at === -1) return [path];
  const map = path.slice(0, at).join(".");
  const own = given[at] ?? "*";
  const known = allowedAt(schema, path.slice(0, at)).keys;
  if (own !== "*") {
    if (known === undefined || known.includes(own)) return [given];
    const near = nearestWord(own, known);
    const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
    throw invalid(`${name}: ${own} is no key of ${map}${hint}; it takes ${known.join(", ")}`);
  }
  const all = keys[map] ?? [];
  if (all.length === 0) {
    throw invalid(`${name}: this world has no keys of ${map} for *; write the key itself`);
  }
  return all.map((key) => path.with(at, key));
}

interface Leaf {
  /** `*` stands where a map has keys of its own. */
  readonly path: readonly string[];
  readonly node: Allowed;
}

/** All single values below a place; lists have none. */
function leavesBelow(node: Allowed, path: readonly string[]): readonly Leaf[] {
  const own = Object.entries(node.properties ?? {});
  const values = node.additionalProperties;
  const children = typeof values === "object" ? [...own, ["*", values] as const] : own;
  if (children.length > 0) {
    return children.flatMap(([key, child]) => leavesBelow(child, [...path, key]));
  }
  return node.type === "array" || node.type === "object" ? [] : [{ path, node }];
}

/** Whether a path ends so; what is left of it begins with a word of its own, not with any key. */
function endsWith(path: readonly string[], keys: readonly string[]): boolean {
  const offset = path.length - keys.length;
  if (offset < 0 || path[offset] !== keys[0]) return false;
  return keys.every((key, at) => [key, "*"].includes(path[offset + at] ?? ""));
}

function unknown(name: string, space: PolicySpace): never {
  const names = placeNames(space);
  const near = nearestPaths(name, names);
  const hint = near.length === 0 ? "" : ` (did you mean ${near.join(" or ")}?)`;
  throw invalid(`${name} is no setting of a policy${hint}; docs/policy.schema.json has all`);
}

/** Paths whose last part is nearest, and of those the ones that share most other parts. */
function nearestPaths(wrong: string, names: readonly string[]): readonly string[] {
  const parts = wrong.split(".");
  const scored = names.map((name) => {
    const own = name.split(".");
    const last = nearestWord(parts.at(-1) ?? "", [own.at(-1) ?? ""]) === undefined ? 0 : 4;
    const shared = parts.filter((part) => nearestWord(part, own) !== undefined).length;
    const begins = own.at(-1)?.startsWith(parts.at(-1) ?? "-") === true ? 2 : 0;
    return { name, score: last + shared + begins };
  });
  const most = Math.max(...scored.map(({ score }) => score));
  if (most === 0) return [];
  return scored
    .filter(({ score }) => score === most)
    .slice(0, HINTS_MAX)
    .map(({ name }) => name);
}

function invalid(problem: string): PlatformError {
  return new PlatformError(problem, { code: "invalid_request", retryable: false });
}
