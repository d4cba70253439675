/** Where values of secrets come from on this machine. No error has a value in it. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import { parseEnv } from "node:util";
import { UsageError } from "../../errors.ts";
import type { SecretValues } from "../../protocol/index.ts";
import { checkSecretValues, type Secret } from "../../secret.ts";

/** The options of `secret create` and `secret update` that have values. */
export interface ValueOptions {
  /** Path of a file of `KEY=VALUE` lines; `-` is stdin. */
  readonly fromDotenv?: string;
  /** Path of a JSON object of texts; `-` is stdin. */
  readonly fromJson?: string;
}

const STDIN = "-";

/**
 * All values that were given: files first, then the arguments.
 *
 * @param pairs `KEY=VALUE`, or `KEY=-` for the text of stdin.
 * @throws UsageError when there are none, or one is wrong.
 */
export async function readValues(
  pairs: readonly string[],
  { fromDotenv, fromJson }: ValueOptions,
): Promise<SecretValues> {
  const split = pairs.map(splitPair);
  const readers = [fromDotenv, fromJson, ...split.map(([, value]) => value)];
  if (readers.filter((one) => one === STDIN).length > 1) {
    throw new UsageError("stdin can give only one of the values or files");
  }
  const given = await Promise.all(
    split.map(async ([key, value]) => [key, value === STDIN ? await stdinValue() : value] as const),
  );
  return {
    ...(fromDotenv === undefined ? {} : await readDotenv(fromDotenv)),
    ...(fromJson === undefined ? {} : await readJson(fromJson)),
    ...(given.length === 0 ? {} : checkSecretValues("the secret", Object.fromEntries(given))),
  };
}

/** The values of a secret that is on this machine. @throws UsageError */
export async function readSecret({ source }: Secret): Promise<SecretValues> {
  switch (source.kind) {
    case "object":
      return checkSecretValues("Secret.fromObject", source.read());
    case "dotenv":
      return readDotenv(source.path);
    case "named":
      throw new UsageError(`the values of secret ${source.name} are on the server`);
  }
}

async function readDotenv(path: string): Promise<SecretValues> {
  const content = await contentOf(path);
  return checkSecretValues(path === STDIN ? "stdin" : path, parseEnv(content));
}

async function readJson(path: string): Promise<SecretValues> {
  const what = path === STDIN ? "stdin" : path;
  let value: unknown;
  try {
    value = JSON.parse(await contentOf(path));
  } catch (error) {
    // The parser's own message quotes what it read.
    if (error instanceof SyntaxError) throw new UsageError(`${what} is no JSON`);
    throw error;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UsageError(`${what} must be a JSON object of names and texts`);
  }
  return checkSecretValues(what, value as Record<string, unknown>);
}

function splitPair(pair: string, position: number): readonly [string, string] {
  const at = pair.indexOf("=");
  if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
  // It may be a value by mistake, so it is not shown.
  throw new UsageError(`argument ${position + 1} after the name is not KEY=VALUE`);
}

async function contentOf(path: string): Promise<string> {
  if (path === STDIN) return text(process.stdin);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : "";
    throw new UsageError(`cannot read ${path} (${why})`);
  }
}

/** Without the line end that shells and editors put last. */
async function stdinValue(): Promise<string> {
  return (await text(process.stdin)).replace(/\r?\n$/, "");
}
