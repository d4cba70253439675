/** Thrown when the program itself is wrong; only request and tick boundaries catch it. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/**
 * Holds an invariant.
 *
 * @throws AssertionError when `condition` is false; the message says what is wrong.
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Marks a branch that the types say cannot be reached; keeps switches exhaustive. */
export function assertNever(value: never, what: string): never {
  throw new AssertionError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
