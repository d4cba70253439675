/** A thrown value as it travels: the user's own frames, in the user's own source. */
import { inspect } from "node:util";
import { SerializationError, type WireError } from "../../../sdk/protocol/index.ts";

const CAUSES_MAX = 8;

/** What is told of something thrown. Stacks are mapped to the source by Node itself. */
export function wireErrorOf(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) {
    return { name: "Error", message: typeof thrown === "string" ? thrown : inspect(thrown) };
  }
  const { name, message, stack, cause } = thrown;
  return {
    name,
    message,
    ...(typeof stack === "string" ? { stack: userFrames(stack) } : {}),
    ...(cause === undefined || depth >= CAUSES_MAX ? {} : { cause: wireErrorOf(cause, depth + 1) }),
    ...(thrown instanceof SerializationError ? { code: "not_serializable" as const } : {}),
  };
}

/** Drops the frames of the runner and of Node's insides. */
function userFrames(stack: string): string {
  return stack
    .split("\n")
    .filter(
      (line) => !/^\s+at .*(\/flotilla-runner\.mjs|node:internal|sandbox\/runners\/)/.test(line),
    )
    .join("\n");
}
