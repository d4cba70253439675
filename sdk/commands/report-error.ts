/** How a command says what went wrong: what happened, then what to do; a stack only of user code. */
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { isFlotillaError } from "../errors.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { printProgress, styled, withoutControls } from "./terminal.ts";

const CAUSES_MAX = 8;

/** Prints `thrown` to stderr and gives the exit code for it. */
export function reportError(thrown: unknown): number {
  printProgress(errorReport(thrown));
  return exitCodeOf(thrown);
}

/** The lines for an error, without control characters of others. */
export function errorReport(thrown: unknown): string {
  if (!isFlotillaError(thrown)) {
    return `${styled("red", "error:")} ${withoutControls(stackOf(thrown))}`;
  }
  const lines = [`${styled("red", `error[${thrown.code}]:`)} ${withoutControls(thrown.message)}`];
  if (thrown.name === "UsageError") lines.push(...userFrames(thrown).slice(0, 1));
  const next = thrown.nextStep ?? pageOf(thrown.code);
  if (next !== undefined) lines.push(`  ${styled("bold", "next:")} ${next}`);
  if (thrown.cause instanceof Error && thrown.code === "startup_failed") {
    lines.push(withoutControls(stackOf(thrown.cause)));
  }
  return lines.join("\n");
}

/** Errors whose message is all there is to say: the user wrote it wrong, or ended it. */
const SELF_EVIDENT: ReadonlySet<string> = new Set(["cancelled", "interrupted", "usage"]);

/** Where the documents say what to do about an error that has no step of its own. */
function pageOf(code: string): string | undefined {
  if (SELF_EVIDENT.has(code)) return undefined;
  return `docs/errors/${withoutControls(code)}.md says what can be done`;
}

/** Where this package is; frames from here, from other packages and from Node are not the user's. */
const PACKAGE_URL = new URL("..", import.meta.url).href;
const PACKAGE_PATH = fileURLToPath(PACKAGE_URL);
/** What of a bundle has no source to name is this package's copy in it. */
const BUNDLED = "/bundle.mjs:";
const FRAME = /^\s+at /;

/** The lines of a stack that are in the user's files. */
function userFrames(error: Error): string[] {
  const others = [PACKAGE_URL, PACKAGE_PATH, "/node_modules/", "node:", BUNDLED];
  const lines = (error.stack ?? "").split("\n").filter((line) => FRAME.test(line));
  return lines.filter((line) => !others.some((other) => line.includes(other)));
}

function stackOf(thrown: unknown): string {
  const lines: string[] = [];
  let error = thrown;
  for (let depth = 0; error !== undefined && depth < CAUSES_MAX; depth++) {
    const text = error instanceof Error ? headedStack(error) : inspect(error);
    lines.push(depth === 0 ? text : `caused by: ${text}`);
    error = error instanceof Error ? error.cause : undefined;
  }
  return lines.join("\n");
}

/** Name and message, then the user's frames; all frames when none is the user's. */
function headedStack(error: Error): string {
  const head = error.message === "" ? error.name : `${error.name}: ${error.message}`;
  const frames = userFrames(error);
  if (frames.length > 0) return [head, ...frames].join("\n");
  const { stack = head } = error;
  return stack.includes(error.message) ? stack : `${head}\n${stack}`;
}
