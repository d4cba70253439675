import {
  LARGE_PAYLOAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  type WireError,
} from "../../sdk/protocol/index.ts";

/** What is told instead of a result that is larger than one may be; undefined when it is not. */
export function tooLargeError(
  bytes: number,
  bytesMax: number = PAYLOAD_BYTES_MAX,
): WireError | undefined {
  if (bytes <= bytesMax) return undefined;
  return {
    name: "PayloadTooLargeError",
    message: `the result has ${bytes} bytes, more than the ${bytesMax} that one may have`,
    code: "payload_too_large",
  };
}

/** The same of a result that may be kept as blobs. */
export function muchTooLargeError(bytes: number): WireError | undefined {
  return tooLargeError(bytes, LARGE_PAYLOAD_BYTES_MAX);
}
