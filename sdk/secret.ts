/**
 * Secrets in code: values that a function's containers get as variables.
 *
 * A `Secret` says where values are and is never they themselves in a bundle: those of `fromName`
 * are on the server, those of `fromObject` and `fromDotenv` are read on this machine by
 * `flotilla run` and travel in the request that starts the temporary app.
 */
import { UsageError } from "./errors.ts";

/** Where the values of a secret are. */
export type SecretSource =
  | {
      readonly kind: "named";
      readonly name: string;
      readonly requiredKeys?: readonly string[];
    }
  /** A function, so that printing a secret prints none of its values. */
  | {
      readonly kind: "object";
      /** Gives the values: a function, so that no listing of a secret shows them. */
      readonly read: () => Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "dotenv"; readonly path: string };

/** What is asked of a secret that is on the server. */
export interface NamedSecretOptions {
  /** Variables that it must have: a deployment is refused when one is missing. */
  readonly requiredKeys?: readonly string[];
}

const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/**
 * Values for containers that are in no code, answer or log.
 *
 * @example
 * const secret = Secret.fromName("huggingface", { requiredKeys: ["HF_TOKEN"] });
 * export const load = app.function({ secrets: [secret] }, () => process.env.HF_TOKEN !== undefined);
 */
export class Secret {
  /** Where its values are. */
  readonly source: SecretSource;

  private constructor(source: SecretSource) {
    this.source = source;
  }

  /**
   * The secret that `flotilla secret create NAME` made.
   *
   * @throws UsageError when it is no name.
   */
  static fromName(name: string, { requiredKeys }: NamedSecretOptions = {}): Secret {
    if (typeof name !== "string" || !SECRET_NAME.test(name)) {
      throw new UsageError('a secret is named by 1 to 64 letters, digits, ".", "_" and "-"');
    }
    if (requiredKeys === undefined) return new Secret({ kind: "named", name });
    checkKeys(requiredKeys);
    return new Secret({ kind: "named", name, requiredKeys });
  }

  /**
   * Values of this machine, for `flotilla run`. Write `process.env.TOKEN`, and no value: what is
   * written in code is in the bundle. They are checked when they are sent.
   *
   * @example
   * const secret = Secret.fromObject({ HF_TOKEN: process.env.HF_TOKEN });
   */
  static fromObject(values: Readonly<Record<string, string | undefined>>): Secret {
    if (typeof values !== "object" || Array.isArray(values)) {
      throw new UsageError("Secret.fromObject needs an object of names and texts");
    }
    return new Secret({ kind: "object", read: () => values });
  }

  /** The variables of a file on this machine, for `flotilla run`. @param path Default `.env`. */
  static fromDotenv(path = ".env"): Secret {
    return new Secret({ kind: "dotenv", path });
  }
}

/** Whether a value is a `Secret`, of this copy of the library or another. */
export function isSecret(value: unknown): value is Secret {
  if (typeof value !== "object" || value === null || !("source" in value)) return false;
  const { source } = value;
  return typeof source === "object" && source !== null && "kind" in source;
}

/** @throws UsageError naming what is no variable; values are in no message. */
export function checkSecretValues(
  what: string,
  values: Readonly<Record<string, unknown>>,
): Readonly<Record<string, string>> {
  const checked: [string, string][] = [];
  for (const [key, value] of Object.entries(values)) {
    if (!VARIABLE_NAME.test(key) || key === "__proto__") {
      throw new UsageError(`${what} has a name that is none of a variable: ${key.slice(0, 40)}`);
    }
    if (value === undefined) {
      throw new UsageError(`${what} has no value for ${key}`, `set ${key} on this machine`);
    }
    if (typeof value !== "string") {
      throw new UsageError(`${what} must have a text for ${key}, and has a ${typeof value}`);
    }
    if (value.includes("\0")) throw new UsageError(`${what} has a NUL character in ${key}`);
    checked.push([key, value]);
  }
  if (checked.length > 0) return Object.fromEntries(checked);
  throw new UsageError(`${what} has no variables`);
}

function checkKeys(keys: readonly string[]): void {
  const isList = Array.isArray(keys) && keys.length > 0;
  if (isList && keys.every((key) => typeof key === "string" && VARIABLE_NAME.test(key))) return;
  throw new UsageError("requiredKeys must be a list of names of variables, at least one");
}
