/** A thrown value as it travels: the user's own frames, in the user's own source. */
import { SerializationError, type WireError } from "../../../sdk/protocol/index.ts";

const CAUSES_MAX = 8;
const FRAME = /^\s+at /;
const NOT_THE_USERS = /^\s+at .*(\/flotilla-runner\.mjs|node:internal|sandbox\/runners\/)/;
const OF_THE_BUNDLE = /^\s+at .*\/app-\d+\.mjs:/;
/** Longest name, message or stack; an error is read by people. */
export const TEXT_CHARACTERS_MAX = 64 * 1024;

/**
 * What is told of something thrown. Stacks are mapped to the source by Node itself.
 *
 * Whatever was thrown, the answer is plain texts of bounded size: an error whose properties
 * throw, or are no texts, is told as well as can be.
 */
export function wireErrorOf(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) return { name: "Error", message: textOf(() => thrown) };
  const stack = attempt(() => thrown.stack);
  const cause = attempt(() => thrown.cause);
  return {
    name: textOf(() => thrown.name),
    message: textOf(() => thrown.message),
    ...(typeof stack === "string" ? { stack: userFrames(shortened(stack)) } : {}),
    ...(cause === undefined || depth >= CAUSES_MAX ? {} : { cause: wireErrorOf(cause, depth + 1) }),
    ...(thrown instanceof SerializationError ? { code: "not_serializable" as const } : {}),
  };
}

function textOf(read: () => unknown): string {
  const value = attempt(read);
  // Loaded where it is needed only: a start need not wait for it.
  const { inspect } = process.getBuiltinModule("node:util");
  return shortened(typeof value === "string" ? value : String(attempt(() => inspect(value))));
}

function attempt(read: () => unknown): unknown {
  try {
    return read();
  } catch {
    // The user's own getter or inspector failed.
    return "[it throws when it is read]";
  }
}

function shortened(text: string): string {
  return text.slice(0, TEXT_CHARACTERS_MAX);
}

/**
 * Drops the frames of the runner and of Node's insides, and where a map names the user's own
 * files those of the bundle that it does not name: the SDK's.
 */
function userFrames(stack: string): string {
  const lines = stack.split("\n").filter((line) => !NOT_THE_USERS.test(line));
  const named = lines.filter((line) => !OF_THE_BUNDLE.test(line));
  return (named.some((line) => FRAME.test(line)) ? named : lines).join("\n");
}
