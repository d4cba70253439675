/** Errors of the user's function, rebuilt where it was called. */
import { CallError } from "./errors.ts";
import type { WireError } from "./protocol/api.ts";

const BRAND = Symbol.for("flotilla.remoteError");
/** How many causes of causes are rebuilt. */
const CAUSE_DEPTH_MAX = 16;

/**
 * The user's function threw.
 *
 * `name`, `message`, `stack` (positions in the user's own source) and `cause` are those of the
 * error thrown in the container. What was a `RangeError` there is a `RangeError` here too, and
 * every rebuilt error is `instanceof RemoteError`.
 */
export class RemoteError extends Error {
  /** True for errors that another copy of this package made, too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== RemoteError) return Function.prototype[Symbol.hasInstance].call(this, value);
    return typeof value === "object" && value !== null && BRAND in value;
  }
}

const STANDARD_ERRORS: ReadonlyMap<string, new (message: string) => Error> = new Map(
  [EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError].map((standard) => [
    standard.name,
    standard,
  ]),
);

/** The error to throw for a failed input: the user's own, or a `CallError` of the platform. */
export function rebuildError(wire: WireError): Error {
  return rebuild(wire, 0);
}

function rebuild(wire: WireError, depth: number): Error {
  const cause =
    wire.cause !== undefined && depth < CAUSE_DEPTH_MAX
      ? rebuild(wire.cause, depth + 1)
      : undefined;
  if (wire.code !== undefined) return new CallError(wire.message, { code: wire.code, cause });
  const error = new (STANDARD_ERRORS.get(wire.name) ?? RemoteError)(wire.message);
  const stack = wire.stack ?? `${wire.name}: ${wire.message}`;
  const fields: Record<PropertyKey, unknown> = { name: wire.name, stack, [BRAND]: true };
  if (cause !== undefined) fields.cause = cause;
  for (const key of Reflect.ownKeys(fields)) {
    const value = fields[key];
    Object.defineProperty(error, key, { value, configurable: true, writable: true });
  }
  return error;
}
