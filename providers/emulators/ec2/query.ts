/**
 * Parameters of the EC2 Query protocol: a flat form whose names spell a tree
 * (`TagSpecification.1.Tag.2.Key`).
 */
import { Ec2Error } from "./ec2-error.ts";

/** Parameters by name, as sent. */
export type QueryParams = ReadonlyMap<string, string>;

/** Reads a form body; a repeated name keeps its last value. */
export function parseQuery(body: string): QueryParams {
  return new Map(new URLSearchParams(body));
}

/** @throws Ec2Error `MissingParameter` when it is absent or empty. */
export function required(params: QueryParams, name: string): string {
  const value = params.get(name);
  if (value !== undefined && value !== "") return value;
  throw new Ec2Error("MissingParameter", `The request must contain the parameter ${name}`);
}

/** @throws Ec2Error `InvalidParameterValue` when it is not a whole number in the range. */
export function wholeNumber(
  params: QueryParams,
  name: string,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  const text = params.get(name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= range.min && value <= range.max) return value;
  throw new Ec2Error(
    "InvalidParameterValue",
    `Value (${text}) for parameter ${name} is invalid. ` +
      `Expecting a whole number from ${range.min} to ${range.max}.`,
  );
}

/** The values of `Name.1`, `Name.2`, ... in the order of their numbers. */
export function listOf(params: QueryParams, name: string): readonly string[] {
  return indexesOf(params, name).flatMap((index) => params.get(`${name}.${index}`) ?? []);
}

/** The members of `Name.1.*`, `Name.2.*`, ... in the order of their numbers. */
export function structsOf(params: QueryParams, name: string): readonly QueryParams[] {
  return indexesOf(params, name).map((index) => memberOf(params, `${name}.${index}`));
}

/** The parameters below `prefix.`, with the prefix taken off. */
export function memberOf(params: QueryParams, prefix: string): QueryParams {
  const head = `${prefix}.`;
  return new Map(
    [...params]
      .filter(([name]) => name.startsWith(head))
      .map(([name, value]) => [name.slice(head.length), value]),
  );
}

function indexesOf(params: QueryParams, name: string): readonly number[] {
  const head = `${name}.`;
  const indexes = new Set<number>();
  for (const key of params.keys()) {
    const digits = key.startsWith(head) ? /^\d+/.exec(key.slice(head.length))?.[0] : undefined;
    if (digits !== undefined) indexes.add(Number(digits));
  }
  return [...indexes].sort((a, b) => a - b);
}
