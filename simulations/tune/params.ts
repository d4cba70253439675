/**
 * The parameters of a search: `--params` read, and its settings written into a policy.
 *
 *     buffers.quantile=0.5..0.999,churnUsd=0.001..1:log,scheduler.strategy=pack|spread
 *
 * Values are those of policy files: dollars, seconds, hours, fractions 0..1.
 */
import { PlatformError } from "../../core/index.ts";
import { describeAllowed, nearestWord, type Allowed } from "../../documents/index.ts";
import type { Domain, Setting } from "./domain.ts";
import { targetOf, type Place, type PolicySpace, type Step, type Target } from "./policy-places.ts";

export interface Parameter extends Target {
  /** As it was asked for. */
  readonly name: string;
  readonly domain: Domain;
}

/** Values by the names of parameters. */
export type Settings = Readonly<Record<string, Setting>>;

/** More than a search of reasonable length can tell apart. */
const PARAMETERS_MAX = 32;

/**
 * The parameters of a list `NAME=RANGE,…`; a range is `FROM..TO`, `FROM..TO:log` or `A|B|C`.
 *
 * @throws PlatformError `invalid_request` that says which parameter is wrong and what it takes.
 */
export function readParameters(text: string, space: PolicySpace): readonly Parameter[] {
  const items = text.split(",").map((item) => item.trim());
  if (items.length > PARAMETERS_MAX) {
    throw invalid(`${items.length} parameters are too many, at most ${PARAMETERS_MAX}`);
  }
  const parameters = items.map((item) => readParameter(item, space));
  const owners = new Map<string, string>();
  for (const { name, places } of parameters) {
    for (const place of places) {
      const key = placeText(place);
      const other = owners.get(key);
      if (other !== undefined) throw invalid(`${other} and ${name} both set ${key}: leave one out`);
      owners.set(key, name);
    }
  }
  return parameters;
}

/** A policy file's content with values set; `raw` itself stays as it is. */
export function withSettings(
  raw: unknown,
  parameters: readonly Parameter[],
  settings: Settings,
): unknown {
  let content = raw;
  for (const { name, places, needs } of parameters) {
    const value = settings[name];
    if (value === undefined) continue;
    for (const place of places) content = withValue(content, place, value);
    if (needs !== undefined && !Number(valueAt(content, needs.place) ?? 0)) {
      content = withValue(content, needs.place, needs.value);
    }
  }
  return content;
}

/** Such as `optimizer.shares[purchase spot].maxFraction`. */
function placeText(place: Place): string {
  return place
    .map((step, at) =>
      typeof step === "object" ? `[${step.of} ${step.name}]` : at === 0 ? step : `.${step}`,
    )
    .join("");
}

function readParameter(item: string, space: PolicySpace): Parameter {
  const [, name = "", range = ""] = /^([^=\s]+)\s*=\s*(\S+)$/.exec(item) ?? [];
  if (name === "" || range === "") {
    const given = item === "" ? "an empty entry" : JSON.stringify(item);
    throw invalid(`parameters take NAME=FROM..TO or NAME=A|B, not ${given}`);
  }
  const target = targetOf(name, space);
  return { ...target, name, domain: readDomain(name, range, target.allowed) };
}

function readDomain(name: string, range: string, allowed: Allowed): Domain {
  const wrong = (problem: string): PlatformError =>
    invalid(`${name}=${range}: ${problem}; it takes ${describeAllowed(allowed)}`);
  const isNumber = allowed.type === "number" || allowed.type === "integer";
  if (isNumber && range.includes("..")) return readRange(range, allowed, wrong);
  if (range.includes("..")) throw wrong("only numbers have a range: write the choices as A|B");
  const values = range.split("|").map((word) => readChoice(word, allowed, wrong));
  if (new Set(values).size < values.length) throw wrong("a choice is there twice");
  if (values.length === 1) throw wrong("one value leaves nothing to choose: put it in the policy");
  return { kind: "choice", values };
}

type Wrong = (problem: string) => PlatformError;

function readRange(range: string, allowed: Allowed, wrong: Wrong): Domain {
  const [, first = "", second = "", scale = "linear"] =
    /^(.*?)\.\.(.*?)(?::(\w+))?$/.exec(range) ?? [];
  if (scale !== "log" && scale !== "linear") throw wrong(`:${scale} is no scale, :log is one`);
  const isLog = scale === "log";
  const [from, to] = [readNumber(first, allowed, wrong), readNumber(second, allowed, wrong)];
  if (from > to) throw wrong(`${first} is above ${second}`);
  if (from === to) throw wrong("one value leaves nothing to choose: put it in the policy");
  if (isLog && from <= 0) throw wrong("a range on a log scale begins above 0");
  return { kind: "range", from, to, isLog, isWhole: allowed.type === "integer" };
}

function readNumber(text: string, allowed: Allowed, wrong: Wrong): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) {
    throw wrong(`${JSON.stringify(text)} is no number`);
  }
  const value = Number(text);
  const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity } = allowed;
  if (value < minimum || value > maximum || value <= exclusiveMinimum) {
    throw wrong(`${text} is outside of what policies allow`);
  }
  if (allowed.type === "integer" && !Number.isInteger(value)) {
    throw wrong(`${text} is no whole number`);
  }
  return value;
}

function readChoice(word: string, allowed: Allowed, wrong: Wrong): Setting {
  switch (allowed.type) {
    case "number":
    case "integer":
      return readNumber(word, allowed, wrong);
    case "boolean":
      if (word === "true" || word === "false") return word === "true";
      throw wrong(`${JSON.stringify(word)} is neither true nor false`);
    default: {
      if (allowed.enum === undefined || allowed.enum.includes(word)) return word;
      const near = nearestWord(word, allowed.enum);
      const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
      throw wrong(`${JSON.stringify(word)} is no choice${hint}`);
    }
  }
}

type Content = Readonly<Record<string, unknown>>;

function withValue(raw: unknown, place: Place, value: Setting): unknown {
  const [step, ...rest] = place;
  if (step === undefined) return value;
  if (typeof step === "object") {
    const list: readonly unknown[] = Array.isArray(raw) ? raw : [];
    const at = list.findIndex((rule) => isRule(rule, step));
    const rule = withValue(at === -1 ? { ...step } : list[at], rest, value);
    return at === -1 ? [...list, rule] : list.with(at, rule);
  }
  const map: Content = isMap(raw) ? raw : {};
  const present = Object.hasOwn(map, step) ? map[step] : undefined;
  return { ...map, [step]: withValue(present, rest, value) };
}

function valueAt(raw: unknown, place: Place): unknown {
  let value = raw;
  for (const step of place) {
    if (typeof step === "object") {
      value = Array.isArray(value) ? value.find((rule) => isRule(rule, step)) : undefined;
    } else value = isMap(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value;
}

function isRule(rule: unknown, step: Exclude<Step, string>): boolean {
  return isMap(rule) && rule["of"] === step.of && rule["name"] === step.name;
}

function isMap(raw: unknown): raw is Content {
  return typeof raw === "object" && raw !== null && !Array.isArray(raw);
}

function invalid(problem: string): PlatformError {
  return new PlatformError(problem, { code: "invalid_request", retryable: false });
}
