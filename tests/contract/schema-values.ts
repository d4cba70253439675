/** Values that follow a JSON schema but for some places, and values that nobody should send. */
import fc from "fast-check";
import type { ApiDocument, Schema } from "./document.ts";

/** Makes values of a schema. */
export type MakeValue = (schema: Schema, depth?: number) => fc.Arbitrary<unknown>;

/** Waiting for results is no fault of a request, so a good wait is this short. */
const WAIT_MS_MAX = 5;
const DEPTH_MAX = 5;

/** Texts that break what takes them for granted. */
export const evilText = fc.oneof(
  fc.constantFrom(
    ...["", " ", "..", "../../etc/passwd", "%2e%2e%2f", "%00", "\u0000", "a b", "\u202E", "-rf"],
    ...["__proto__", "constructor", "toString", "%", "%zz", "x".repeat(300), "y".repeat(9_000)],
    ...["💥", "\ud800", "null", "NaN", "-1", "1e999", "0x10", "'", "' OR 1=1 --", "a&b=c", "[]"],
    ...["*", "\r\nx: y", "${7*7}", "<script>", "ap_", "ca_00000000000000000000000000"],
  ),
  fc.string({ maxLength: 40, unit: "binary" }),
);

const evilNumber = fc.constantFrom(
  ...[0, -0, -1, 1.5, 1e-320, 2 ** 31, 2 ** 53, -(2 ** 63), 1e308, 999_999_999],
);

/** Values of the wrong type, size or kind. */
export const evilValue: fc.Arbitrary<unknown> = fc.oneof(
  evilText,
  evilNumber,
  fc.constantFrom(null, true, false, [], {}, [[]], { a: { b: [] } }, { __proto__: null }),
  fc.anything({ maxDepth: 3, maxKeys: 4, withNullPrototype: false }),
);

/** A maker of values that follow a schema, but in one node of ten. */
export function createValues({ components }: ApiDocument): MakeValue {
  const isWait = (name: string): boolean => name === "waitMs";

  function make(schema: Schema, depth = 0): fc.Arbitrary<unknown> {
    if (depth > DEPTH_MAX) return fc.constant(null);
    return fc.oneof(
      { weight: 9, arbitrary: good(schema, depth) },
      { weight: 1, arbitrary: evilValue },
    );
  }

  function good(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    if (schema.$ref !== undefined) {
      const named = components.schemas[schema.$ref.split("/").at(-1) ?? ""];
      return named === undefined ? fc.constant(null) : good(named, depth);
    }
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
    const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (choices !== undefined) return fc.oneof(...choices.map((each) => make(each, depth)));
    return plain(schema, depth);
  }

  function plain(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    const type = typeof schema.type === "string" ? schema.type : schema.type?.[0];
    switch (type) {
      case "object":
        return objectOf(schema, depth + 1);
      case "array":
        return fc.array(make(schema.items ?? {}, depth + 1), { maxLength: 3 });
      case "string":
        return stringOf(schema);
      case "integer":
        return integerOf(schema);
      case "number":
        return fc.double({ min: schema.minimum ?? 0, max: schema.maximum ?? 1e6, noNaN: true });
      case "boolean":
        return fc.boolean();
      default:
        return evilValue;
    }
  }

  function objectOf(schema: Schema, depth: number): fc.Arbitrary<unknown> {
    const entries = Object.entries(schema.properties ?? {}).map(([name, each]) => {
      const value = isWait(name) ? fc.integer({ min: -1, max: WAIT_MS_MAX }) : make(each, depth);
      const isRequired = schema.required?.includes(name) === true;
      return [name, isRequired ? often(value, 20) : often(value, 1)] as const;
    });
    const more = fc.dictionary(evilText, evilValue, { maxKeys: 2 });
    return fc
      .tuple(fc.record(Object.fromEntries(entries)), often(more, 0.1))
      .map(([known, others]) =>
        Object.fromEntries(
          [...Object.entries(known), ...Object.entries(others ?? {})].filter(
            ([, value]) => value !== undefined,
          ),
        ),
      );
  }

  return make;
}

/** The value, or (once for `weight` times of it) nothing. */
function often<Value>(value: fc.Arbitrary<Value>, weight: number) {
  return fc.oneof(
    { weight: Math.round(weight * 10), arbitrary: value },
    { weight: 10, arbitrary: fc.constant(undefined) },
  );
}

/** The generator of strings knows no lookaround; without it a few strings are not allowed. */
function withoutLookaround(pattern: string): string {
  return pattern.replaceAll(/\(\?<?[!=][^)]*\)/g, "");
}

function integerOf({ minimum = 0, maximum = 1_000 }: Schema): fc.Arbitrary<number> {
  return fc.integer({ min: Math.max(minimum, -(2 ** 31)), max: Math.min(maximum, 2 ** 31 - 1) });
}

function stringOf({ pattern }: Schema): fc.Arbitrary<string> {
  return pattern === undefined
    ? fc.string({ maxLength: 12 })
    : fc.stringMatching(new RegExp(withoutLookaround(pattern)));
}

export function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(jsonText(value));
}

/** The value as JSON; a text that says so when it has none. */
export function jsonText(value: unknown): string {
  try {
    const text: unknown = JSON.stringify(value);
    return typeof text === "string" ? text : "null";
  } catch {
    // Big integers and cycles have no JSON.
    return '"no JSON"';
  }
}
