/**
 * `flotilla call`: one call of a deployed function.
 *
 * The result goes to stdout; what the call waits for is told on stderr once it takes longer
 * than a moment. Ctrl-C cancels the call.
 */
import { App } from "../app.ts";
import { pause } from "../client/pause.ts";
import type { FunctionCall } from "../function-call.ts";
import { InterruptedError } from "./interrupted-error.ts";
import { interruption } from "./interruption.ts";
import { parseArgument } from "./parse-argument.ts";
import { printResult } from "./print-result.ts";
import { progressLine, printProgress } from "./terminal.ts";

/** How often a call is asked what it waits for, and when for the first time. */
const LOOK_EVERY_MS = 1_000;

/** Prints the result on stdout. @throws what the function throws. */
export async function callFunction(
  app: string,
  name: string,
  args: readonly string[],
  options: { json?: boolean },
): Promise<void> {
  const fn = await App.lookup(app, name);
  const call = await fn.spawn(...args.map(parseArgument));
  const ending = new AbortController();
  const watching = tellProgress(call, ending.signal);
  try {
    const cancelled = { doing: "Cancelling the call", done: "the call was cancelled" };
    printResult(await Promise.race([call.get(), interruption(cancelled), watching]), options);
  } catch (error) {
    if (error instanceof InterruptedError) await call.cancel();
    throw error;
  } finally {
    ending.abort();
  }
}

/** Says what the call waits for whenever that changes. Rejects when the server cannot be asked. */
async function tellProgress(call: FunctionCall, ended: AbortSignal): Promise<never> {
  let told: string | undefined;
  for (;;) {
    await pause(LOOK_EVERY_MS, ended);
    if (ended.aborted) return await new Promise<never>(() => undefined);
    const { pendingReason } = await call.status();
    const line = pendingReason === undefined ? "running" : `waiting: ${pendingReason}`;
    if (line !== told) printProgress(progressLine(line));
    told = line;
  }
}
