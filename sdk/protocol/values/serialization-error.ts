import { FlotillaError } from "../flotilla-error.ts";

/** A value cannot be sent, or bytes are no value. The message names the path within the value. */
export class SerializationError extends FlotillaError {
  override readonly name = "SerializationError";

  constructor(message: string, cause?: unknown) {
    super(message, { code: "not_serializable", cause });
  }
}
