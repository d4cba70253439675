/** What a JSON schema allows at a place, in words. */
import { nearestWord } from "./nearest-word.ts";

/** The parts of a JSON schema that our schemas use. */
export interface Allowed {
  readonly type?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Allowed>>;
  readonly propertyNames?: Allowed;
  readonly additionalProperties?: Allowed | boolean;
  readonly items?: Allowed;
}

/** What may stand at a path, and, if that is a map with known keys, which keys. */
export function allowedAt(
  schema: Allowed,
  path: readonly PropertyKey[],
): { readonly node?: Allowed; readonly keys?: readonly string[] } {
  let node: Allowed | undefined = schema;
  for (const key of path) node = node === undefined ? undefined : childOf(node, key);
  if (node === undefined) return {};
  const keys = node.properties ? Object.keys(node.properties) : node.propertyNames?.enum;
  return keys === undefined ? { node } : { node, keys };
}

/** Such as `a number from 0 to 1` or `one of highs, glpk`. */
export function describeAllowed(node: Allowed): string {
  if (node.enum) return node.enum.length === 1 ? `only ${node.enum.join()}` : oneOf(node.enum);
  switch (node.type) {
    case "boolean":
      return "true or false";
    case "integer":
    case "number":
      return `${node.type === "integer" ? "a whole number" : "a number"}${rangeText(node)}`;
    case "array":
      return (node.minItems ?? 0) > 0 ? "a list with at least one entry" : "a list";
    case "object":
      return "a map of keys to values";
    default:
      return "a text of 1 to 200 printable characters";
  }
}

/** The key that was probably meant: near as a whole, or near to how a key begins. */
export function nearestKey(wrong: string, keys: readonly string[]): string | undefined {
  const near = nearestWord(wrong, keys);
  if (near !== undefined || wrong.length < BEGINNING_MIN) return near;
  const beginnings = keys.map((key) => key.slice(0, wrong.length));
  const beginning = nearestWord(wrong, beginnings);
  return beginning === undefined ? undefined : keys[beginnings.indexOf(beginning)];
}

/** What was probably meant by a wrong value; undefined when nothing is near. */
export function nearestValue(node: Allowed, given: unknown): string | undefined {
  if (typeof given !== "string") return undefined;
  if (node.enum) return nearestWord(given, node.enum);
  if (node.type === "boolean") {
    const word = given.toLowerCase();
    if (["yes", "on", "y", "1"].includes(word)) return "true";
    return ["no", "off", "n", "0"].includes(word) ? "false" : nearestWord(given, ["true", "false"]);
  }
  return node.type === "number" || node.type === "integer" ? numberIn(given, node) : undefined;
}

/** Shorter ones are near to anything. */
const BEGINNING_MIN = 4;

function childOf(node: Allowed, key: PropertyKey): Allowed | undefined {
  if (typeof key === "number") return node.items;
  if (node.properties && Object.hasOwn(node.properties, key)) return node.properties[String(key)];
  return typeof node.additionalProperties === "object" ? node.additionalProperties : undefined;
}

function oneOf(words: readonly string[]): string {
  return `one of ${words.join(", ")}`;
}

/** Where the upper end is only a guard against overflow it says nothing to people. */
const SHOWN_MAX = 1e9;

function rangeText({ minimum, maximum, exclusiveMinimum }: Allowed): string {
  const from =
    exclusiveMinimum === undefined ? `from ${minimum ?? 0}` : `above ${exclusiveMinimum}`;
  if (maximum !== undefined && maximum < SHOWN_MAX) {
    return exclusiveMinimum === undefined
      ? ` ${from} to ${maximum}`
      : ` ${from}, at most ${maximum}`;
  }
  return exclusiveMinimum === undefined ? ` >= ${minimum ?? 0}` : ` ${from}`;
}

/** A number that was written with quotes, a unit, or as a percentage. */
function numberIn(given: string, { maximum }: Allowed): string | undefined {
  const [, digits, percent] = /^\s*(\d+(?:\.\d+)?)\s*(%)?\D*$/.exec(given) ?? [];
  if (digits === undefined) return undefined;
  if (percent === undefined) return digits;
  return maximum === 1 ? String(Number(digits) / 100) : undefined;
}
