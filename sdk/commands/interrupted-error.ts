import { FlotillaError } from "../errors.ts";

/** The user pressed ctrl-C and what had been started was ended. */
export class InterruptedError extends FlotillaError {
  override readonly name = "InterruptedError";

  constructor(message: string) {
    super(message, { code: "interrupted" });
  }
}
