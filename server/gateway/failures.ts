/** What a client is told of a request that did not lead to a response: no stack and no message. */
import type { WireError } from "../../sdk/protocol/index.ts";
import { RefusedError } from "../http/problem.ts";

/** Statuses that a proxy answers with (RFC 9110, section 15.6). */
const BAD_GATEWAY = 502;
const GATEWAY_TIMEOUT = 504;

/** The problem that stands for the failure of a call. */
export function failureOf(error: WireError | undefined, callId: string): RefusedError {
  const where = `the app's logs say more, under call ${callId}`;
  switch (error?.code) {
    case undefined:
      return new RefusedError(500, "unavailable", `the function failed on this request; ${where}`);
    case "timed_out":
    case "deadline_exceeded":
      return new RefusedError(GATEWAY_TIMEOUT, "timed_out", `the function took too long; ${where}`);
    case "startup_failed":
      return new RefusedError(BAD_GATEWAY, "unavailable", `the function did not start; ${where}`);
    case "cancelled":
      return new RefusedError(503, "unavailable", "the request was cancelled");
    case "payload_too_large":
    case "not_serializable":
      return new RefusedError(BAD_GATEWAY, "unavailable", `the response cannot be kept; ${where}`);
    case "attempts_exhausted":
    case "container_exited":
    case "out_of_memory":
      return new RefusedError(BAD_GATEWAY, "unavailable", `the function broke down; ${where}`);
  }
}

/** No function has this URL. */
export function nothingHere(): RefusedError {
  return new RefusedError(404, "not_found", "nothing is deployed at this URL");
}

/** The function answers requests and nothing else. */
export function noUpgradeError(): RefusedError {
  const message = "there is no WebSocket here: this URL is no web server's";
  return new RefusedError(400, "invalid_request", message);
}

/** The request was lost on its way, or nothing that can be sent came back. */
export function lostError(reason: string, callId: string): RefusedError {
  const message = `the request was lost: ${reason} (call ${callId})`;
  return new RefusedError(BAD_GATEWAY, "unavailable", message);
}

/** It took too long, and cannot be answered later. */
export function tooLateError(callId: string): RefusedError {
  const message = `no response came in time (call ${callId})`;
  return new RefusedError(GATEWAY_TIMEOUT, "timed_out", message);
}
