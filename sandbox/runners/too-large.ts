import {
  LARGE_PAYLOAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  type WireError,
} from "../../sdk/protocol/index.ts";

/** What is told instead of a payload that is larger than one may be; undefined when it is not. */
export function tooLargeError(bytes: number): WireError | undefined {
  return errorOf("the result", bytes, PAYLOAD_BYTES_MAX);
}

/** The same of what may be kept as blobs: of a result, or of a value that was yielded. */
export function muchTooLargeError(bytes: number, what = "the result"): WireError | undefined {
  return errorOf(what, bytes, LARGE_PAYLOAD_BYTES_MAX);
}

function errorOf(what: string, bytes: number, bytesMax: number): WireError | undefined {
  if (bytes <= bytesMax) return undefined;
  return {
    name: "PayloadTooLargeError",
    message: `${what} has ${bytes} bytes, more than the ${bytesMax} that one may have`,
    code: "payload_too_large",
  };
}
