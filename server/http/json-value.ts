const DEPTH_MAX = 200;

/**
 * Whether JSON carries `value` without loss: null, booleans, finite numbers, strings, and
 * arrays and plain objects of such; nested at most 200 deep, so cycles are refused too.
 */
export function isJsonValue(value: unknown, depth = 0): boolean {
  if (value === null || typeof value === "boolean" || typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || depth >= DEPTH_MAX) return false;
  if (Array.isArray(value)) return value.every((item) => isJsonValue(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  return Object.values(value).every((item) => isJsonValue(item, depth + 1));
}
