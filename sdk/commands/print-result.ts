import { inspect } from "node:util";
import { printData, printJson } from "./terminal.ts";

/** Prints a function's result on stdout: as JSON when asked for, else as people read values. */
export function printResult(value: unknown, options: { readonly json?: boolean }): void {
  if (options.json === true) printJson(value ?? null);
  else if (typeof value === "string") printData(value);
  else if (value !== undefined) printData(inspect(value, { depth: 6, colors: hasColors() }));
}

function hasColors(): boolean {
  return process.stdout.isTTY && process.stdout.hasColors() && process.env.NO_COLOR === undefined;
}
