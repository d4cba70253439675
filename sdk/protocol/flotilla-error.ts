/** The base of every error the SDK throws on purpose. */

/** Marks errors of this library, also those made by another copy of it in the same process. */
const BRAND = Symbol.for("flotilla.error");

export interface FlotillaErrorOptions {
  /** What kind of error it is; stable, for programs. */
  readonly code: string;
  /** What to do about it, one sentence; shown by the command line. */
  readonly nextStep?: string;
  readonly cause?: unknown;
}

/** What every error of the SDK has: a stable `code` and, where there is one, the next step. */
export class FlotillaError extends Error {
  override readonly name: string = "FlotillaError";
  readonly code: string;
  readonly nextStep: string | undefined;

  constructor(message: string, options: FlotillaErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.nextStep = options.nextStep;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** Whether `thrown` is a `FlotillaError`, whichever copy of the SDK made it. */
export function isFlotillaError(thrown: unknown): thrown is FlotillaError {
  return typeof thrown === "object" && thrown !== null && BRAND in thrown;
}
