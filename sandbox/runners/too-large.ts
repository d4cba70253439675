import { PAYLOAD_BYTES_MAX, type WireError } from "../../sdk/protocol/index.ts";

/** What is told instead of a result that is larger than one may be; undefined when it is not. */
export function tooLargeError(bytes: number): WireError | undefined {
  if (bytes <= PAYLOAD_BYTES_MAX) return undefined;
  return {
    name: "PayloadTooLargeError",
    message:
      `the result has ${bytes} bytes, more than the ${PAYLOAD_BYTES_MAX} that one may ` +
      "have; give large data back by reference",
    code: "payload_too_large",
  };
}
