/** The plain way to call: arguments and result as JSON. */
import { messageOf, PlatformError } from "../../core/index.ts";
import {
  decodeValue,
  encodeValue,
  isReference,
  PAYLOAD_BYTES_MAX,
  WAIT_MS_MAX,
  type CreateCallHeader,
  type JsonCallRequest,
  type JsonCallResponse,
  type WireError,
} from "../../sdk/protocol/index.ts";
import type { ResultsPage } from "../services.ts";
import { isJsonValue } from "./json-value.ts";

/**
 * The call that a JSON request starts: one input, waiting 30 s unless it says otherwise.
 *
 * @throws SerializationError, PlatformError `payload_too_large`.
 */
export function jsonCallOf(
  request: JsonCallRequest,
  callId: string,
): { readonly header: CreateCallHeader; readonly payloads: readonly Uint8Array[] } {
  const payload = encodeValue(request.args);
  if (payload.byteLength > PAYLOAD_BYTES_MAX) {
    throw new PlatformError(`the arguments have ${payload.byteLength} bytes, which is too many`, {
      code: "payload_too_large",
      retryable: false,
    });
  }
  const { waitMs = WAIT_MS_MAX, deadlineInMs, idempotencyKey } = request;
  const sizes = [payload.byteLength];
  return {
    header: {
      callId,
      kind: "single",
      sizes,
      final: true,
      waitMs,
      ...(deadlineInMs === undefined ? {} : { deadlineInMs }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    },
    payloads: [payload],
  };
}

const TOO_LARGE: WireError = {
  name: "PayloadTooLargeError",
  message:
    `the result has more than the ${PAYLOAD_BYTES_MAX} bytes that a JSON answer carries; ` +
    "call through the SDK, or return less",
  code: "payload_too_large",
};

/** A page of results of a single call as JSON; no result while it runs. */
export function jsonResponseOf(page: ResultsPage): JsonCallResponse {
  const { callId, status, results } = page.header;
  const [item] = results;
  const answer = { callId, state: status.state };
  if (item === undefined) return answer;
  if (item.outcome === "succeeded") return { ...answer, ...resultOf(page.payloads[0]) };
  return item.error === undefined ? answer : { ...answer, error: item.error };
}

function resultOf(
  payload: Uint8Array | undefined,
): { readonly result?: unknown } | { readonly error: WireError } {
  if (payload === undefined || payload.byteLength === 0) return {};
  if (isReference(payload)) {
    return { error: TOO_LARGE };
  }
  try {
    const result = decodeValue(payload);
    if (result === undefined) return {};
    if (isJsonValue(result)) return { result };
    return notSerializable("the result holds what JSON cannot carry; call through the SDK");
  } catch (error) {
    // The payload came from user code: what is wrong with it is the caller's to know.
    return notSerializable(`the result cannot be read: ${messageOf(error)}`);
  }
}

function notSerializable(message: string): { readonly error: WireError } {
  return { error: { name: "SerializationError", message, code: "not_serializable" } };
}
