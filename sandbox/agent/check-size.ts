/** Results that are larger than they may be. */
import type { RunnerResult } from "../runners/protocol.ts";
import { tooLargeError } from "../runners/too-large.ts";
import type { AgentResult } from "./link.ts";

/** The result as it is reported: one that is too large has failed, without its payload. */
export function checkSize(
  result: RunnerResult,
  payload: Uint8Array,
): { readonly result: AgentResult; readonly payload: Uint8Array } {
  const error = tooLargeError(result.bytes);
  if (error === undefined) return { result, payload };
  return {
    result: { ...result, outcome: "failed", bytes: 0, error },
    payload: new Uint8Array(0),
  };
}
