/**
 * Reads what people write in YAML or JSON, and says of each mistake where it is, what is allowed
 * there and which known word is nearest.
 *
 * JSON is read as YAML, whose flow style contains it, so that both have lines and columns. What
 * is allowed is taken from the schema itself (by way of its JSON schema), so no message can
 * drift from the check behind it.
 */
import { isMap, isNode, isScalar, LineCounter, parseDocument, type Document } from "yaml";
import { z } from "zod";
import { messageOf, PlatformError } from "../core/index.ts";
import { allowedAt, describeAllowed, nearestKey, nearestValue, type Allowed } from "./allowed.ts";

/** One thing that is wrong in a text. Lines and columns count from 1; absent without a text. */
export interface Mistake {
  readonly line?: number;
  readonly column?: number;
  /** Such as `optimizer.shares[0].name`; empty for the whole. */
  readonly path: string;
  /** What is wrong and what is allowed. */
  readonly message: string;
}

export type Reading<Value> =
  | { readonly kind: "value"; readonly value: Value; readonly raw: unknown }
  | { readonly kind: "mistakes"; readonly mistakes: readonly Mistake[] };

const MISTAKES_SHOWN_MAX = 20;
const GIVEN_SHOWN_MAX = 60;

/**
 * The text's value by `schema`, or all its mistakes in the order of their lines.
 *
 * @param empty What an empty text means; absent, it is a mistake like any other.
 */
export function readDocument<Value>(
  text: string,
  schema: z.ZodType<Value>,
  empty?: unknown,
): Reading<Value> {
  const source = parseText(text);
  if ("mistakes" in source) return { kind: "mistakes", mistakes: source.mistakes };
  const reading = checkValue(source.raw ?? empty ?? null, schema);
  if (reading.kind === "value") return reading;
  const mistakes = reading.problems.map((problem) => ({
    ...source.placeOf(problem),
    path: pathText(problem.path),
    message: problem.message,
  }));
  return { kind: "mistakes", mistakes: mistakes.toSorted((a, b) => order(a) - order(b)) };
}

/** One thing that is wrong with a value. */
export interface Problem {
  readonly path: readonly PropertyKey[];
  /** Whether the last step of the path is a key that should not be there. */
  readonly isKey: boolean;
  readonly message: string;
}

/** A value by `schema`, or everything that is wrong with it. */
export function checkValue<Value>(
  raw: unknown,
  schema: z.ZodType<Value>,
):
  | { readonly kind: "value"; readonly value: Value; readonly raw: unknown }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] } {
  const result = schema.safeParse(raw);
  if (result.success) return { kind: "value", value: result.data, raw };
  const allowed = z.toJSONSchema(schema, { io: "input" }) as Allowed;
  const { issues } = result.error;
  // Rules between fields say little while a field itself is wrong.
  const first = issues.filter(({ code }) => code !== "custom");
  const shown = first.length > 0 ? first : issues;
  const problems = shown.flatMap((issue) => problemsOf(issue, raw, allowed));
  return { kind: "problems", problems };
}

/** The error for what is wrong with `name` (a file's name, say). */
export function mistakesError(name: string, mistakes: readonly Mistake[]): PlatformError {
  const shown = mistakes.slice(0, MISTAKES_SHOWN_MAX).map(mistakeText);
  const hidden = mistakes.length - shown.length;
  const [only] = shown;
  const message =
    only !== undefined && mistakes.length === 1
      ? `${name}, ${only}`
      : [
          `${name} has ${mistakes.length} mistakes:`,
          ...shown.map((text) => `  ${text}`),
          ...(hidden > 0 ? [`  and ${hidden} more`] : []),
        ].join("\n");
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}

/** `optimizer.shares[0].name`. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = "";
  for (const key of path) {
    if (typeof key === "number") text += `[${key}]`;
    else text += `${text === "" ? "" : "."}${shortened(String(key))}`;
  }
  return text;
}

function mistakeText({ line, column, path, message }: Mistake): string {
  const place = line === undefined ? "" : `line ${line}, column ${column ?? 1}: `;
  return `${place}${path === "" ? "" : `${path}: `}${message}`;
}

function order({ line = 0, column = 0 }: Mistake): number {
  return line * 1e6 + column;
}

type Place = Pick<Mistake, "line" | "column">;

interface Source {
  readonly raw: unknown;
  readonly placeOf: (problem: Problem) => Place;
}

function parseText(text: string): Source | { readonly mistakes: readonly Mistake[] } {
  const lineCounter = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  try {
    const document = parseDocument(text.replace(/^\uFEFF/, ""), {
      lineCounter,
      prettyErrors: false,
    });
    const faults = [...document.errors, ...document.warnings];
    if (faults.length > 0) {
      const mistakes = faults.map(({ message, pos }) => ({ ...place(pos[0]), path: "", message }));
      return { mistakes };
    }
    const raw: unknown = document.toJS();
    return { raw, placeOf: (problem) => place(offsetOf(document, problem)) };
  } catch (error) {
    // Too deep, or aliases that unfold without end: the parser throws instead of answering.
    return { mistakes: [{ path: "", message: `cannot be read: ${messageOf(error)}` }] };
  }
}

/** Where a problem's key or value starts; of what is missing, where its parent does. */
function offsetOf(document: Document.Parsed, { path, isKey }: Problem): number {
  for (let length = path.length; length >= 0; length -= 1) {
    const node =
      isKey && length === path.length
        ? keyNode(document, path)
        : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function keyNode(document: Document.Parsed, path: readonly PropertyKey[]): unknown {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return undefined;
  const name = String(path.at(-1));
  return parent.items.find(({ key }) => isScalar(key) && String(key.value) === name)?.key;
}

function problemsOf(issue: z.core.$ZodIssue, raw: unknown, schema: Allowed): readonly Problem[] {
  const { path } = issue;
  if (issue.code === "custom") return [{ path, isKey: false, message: issue.message }];
  if (issue.code === "unrecognized_keys") {
    const { keys: known = [] } = allowedAt(schema, path);
    return issue.keys.map((key) => ({
      path: [...path, key],
      isKey: true,
      message: `unknown key; ${didYouMean(nearestKey(key, known))}allowed: ${known.join(", ")}`,
    }));
  }
  if (issue.code === "invalid_key") {
    const wanted = "a name without control characters";
    return [{ path, isKey: true, message: `is no key; takes ${wanted}` }];
  }
  const { node } = allowedAt(schema, path);
  const given = valueAt(raw, path);
  const takes = node === undefined ? issue.message : `takes ${describeAllowed(node)}`;
  if (given === undefined) return [{ path, isKey: false, message: `is missing; ${takes}` }];
  const near = node === undefined ? undefined : nearestValue(node, given);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  return [{ path, isKey: false, message: `${takes}, not ${givenText(given)}${hint}` }];
}

function didYouMean(word: string | undefined): string {
  return word === undefined ? "" : `did you mean ${word}? `;
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Object.getOwnPropertyDescriptor(value, key)?.value as unknown;
  }
  return value;
}

function givenText(given: unknown): string {
  if (Array.isArray(given)) return given.length === 0 ? "an empty list" : "a list";
  if (given === null) return "nothing";
  if (typeof given === "object") return "a map";
  return shortened(typeof given === "number" ? String(given) : JSON.stringify(given));
}

/** At most a few words, and nothing that could steer a terminal. */
function shortened(text: string): string {
  const printable = text.replace(/\p{C}/gu, "?");
  return printable.length > GIVEN_SHOWN_MAX ? `${printable.slice(0, GIVEN_SHOWN_MAX)}…` : printable;
}
