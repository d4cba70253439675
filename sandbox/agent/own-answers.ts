/** What a runner says of inputs, less what is not its own: user code can write whatever it likes. */
import { splitBody } from "../../sdk/protocol/index.ts";
import type { RunnerLine, RunnerResult, ValueHeader } from "../runners/protocol.ts";
import { tooLargeError } from "../runners/too-large.ts";
import { checkSize } from "./check-size.ts";
import type { AgentResult } from "./link.ts";

/** Values with their payloads, in order. */
export interface OwnValues {
  readonly values: readonly ValueHeader[];
  readonly payloads: readonly Uint8Array[];
}

/** Results with their payloads, in order. */
export interface OwnResults {
  readonly results: readonly AgentResult[];
  readonly payloads: readonly Uint8Array[];
}

/** Lines as they may be passed on: one names an input only while its container has it. */
export function ownLines(
  lines: readonly RunnerLine[],
  isHeld: (inputId: string) => boolean,
): readonly RunnerLine[] {
  return lines.map(({ stream, text, inputId }) => {
    const isOwn = inputId !== undefined && isHeld(inputId);
    return { stream, text, ...(isOwn ? { inputId } : {}) };
  });
}

/** The values of inputs that are held; those that are too large are left out. */
export function ownValues(
  values: readonly ValueHeader[],
  body: Uint8Array,
  isHeld: (inputId: string) => boolean,
): OwnValues {
  const sizes = values.map(({ bytes }) => bytes);
  const own = splitBody(body, sizes).flatMap((payload, position) => {
    const value = values[position];
    if (value === undefined || !isHeld(value.inputId)) return [];
    return tooLargeError(value.bytes) === undefined ? [{ value, payload }] : [];
  });
  return {
    values: own.map(({ value }) => value),
    payloads: own.map(({ payload }) => payload),
  };
}

/**
 * The first result of each input that was held; one that is too large is a failure.
 *
 * @param take Gives up these inputs and tells which of them were held; not called for results
 *   whose payloads are not there, which is an error.
 */
export function ownResults(
  results: readonly RunnerResult[],
  body: Uint8Array,
  take: (inputIds: readonly string[]) => ReadonlySet<string>,
): OwnResults {
  const payloads = splitBody(
    body,
    results.map(({ bytes }) => bytes),
  );
  const left = new Set(take(results.map(({ inputId }) => inputId)));
  const own = results.flatMap((result, position) => {
    if (!left.delete(result.inputId)) return [];
    return [checkSize(result, payloads[position] ?? new Uint8Array(0))];
  });
  return {
    results: own.map(({ result }) => result),
    payloads: own.map(({ payload }) => payload),
  };
}
