/** `flotilla call`: one call of a deployed function. */
import { App } from "../app.ts";
import { parseArgument } from "./parse-argument.ts";
import { printResult } from "./print-result.ts";

/** Prints the result on stdout. @throws what the function throws. */
export async function callFunction(
  app: string,
  name: string,
  args: readonly string[],
  options: { json?: boolean },
): Promise<void> {
  const fn = await App.lookup(app, name);
  printResult(await fn.remote(...args.map(parseArgument)), options);
}
