/** How inputs end, on their way from containers into the ledger. */
import type { AgentResult } from "../../sandbox/index.ts";
import type { InputOutcome, WireError } from "../../sdk/protocol/index.ts";
import type { LocalInput } from "./input.ts";

/** How one input ended. */
export interface Settlement {
  readonly input: LocalInput;
  readonly containerId: string | undefined;
  readonly outcome: InputOutcome;
  readonly payload: Uint8Array | undefined;
  readonly error?: WireError;
  readonly runMs: number;
  /** The time in which it had the container, shared with those that ran at once with it. */
  readonly busyMs: number;
}

/** The settlement of a container's result. */
export function settlementOf(
  input: LocalInput,
  containerId: string,
  result: AgentResult,
  payload: Uint8Array | undefined,
): Settlement {
  const outcome = result.outcome === "succeeded" ? "succeeded" : "failed";
  return {
    input,
    containerId,
    outcome,
    payload: outcome === "succeeded" ? payload : undefined,
    ...(result.error === undefined ? {} : { error: result.error }),
    runMs: result.runMs,
    busyMs: result.busyMs ?? result.runMs,
  };
}

/** The settlement of an input that fails without a container. */
export function failureOf(input: LocalInput, error: WireError): Settlement {
  return {
    input,
    containerId: undefined,
    outcome: "failed",
    payload: undefined,
    error,
    runMs: 0,
    busyMs: 0,
  };
}

/** The settlement of an input that was lost with its container too often. */
export function exhaustionOf(input: LocalInput, attemptsMax: number): Settlement {
  return failureOf(input, {
    name: "AttemptsExhausted",
    message:
      `the input was lost with its container ${attemptsMax} times; ` +
      "see `flotilla app logs` for why its containers end",
    code: "attempts_exhausted",
  });
}
