import { DEPTH_MAX } from "./tags.ts";

/**
 * Whether JSON carries `value` without loss: only null, booleans, text, finite numbers but -0,
 * arrays without holes and plain objects, nothing shared, nothing too deep.
 *
 * One walk without allocating but for the set of objects met (left out for a single one), so
 * that it costs less than the `JSON.stringify` it clears the way for.
 */
export function isPlainJson(value: unknown): boolean {
  try {
    return isPlain(value, { first: undefined, met: undefined }, 0);
  } catch {
    // A getter threw; the tagged encoder meets it again and says where.
    return false;
  }
}

interface Walk {
  first: object | undefined;
  met: Set<object> | undefined;
}

function isPlain(value: unknown, walk: Walk, depth: number): boolean {
  switch (typeof value) {
    case "string":
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0);
    case "object":
      if (value === null) return true;
      if (depth >= DEPTH_MAX || isMetAgain(value, walk)) return false;
      return Array.isArray(value)
        ? isPlainArray(value, walk, depth + 1)
        : isPlainObject(value, walk, depth + 1);
    default:
      return false;
  }
}

function isMetAgain(value: object, walk: Walk): boolean {
  if (walk.first === undefined) {
    walk.first = value;
    return false;
  }
  walk.met ??= new Set([walk.first]);
  const before = walk.met.size;
  return walk.met.add(value).size === before;
}

function isPlainArray(items: readonly unknown[], walk: Walk, depth: number): boolean {
  // A hole reads as undefined, which is not plain, so holes need no test of their own.
  for (const item of items) {
    if (!isPlain(item, walk, depth)) return false;
  }
  return !("toJSON" in items);
}

function isPlainObject(value: object, walk: Walk, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  if ("toJSON" in value) return false;
  for (const key in value) {
    if (!isPlain((value as Readonly<Record<string, unknown>>)[key], walk, depth)) return false;
  }
  return true;
}
