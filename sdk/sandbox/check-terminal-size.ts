/** Whether a terminal can have a size. */
import { UsageError } from "../errors.ts";
import type { TerminalSize } from "./terminal-program.ts";

const LENGTH_MAX = 65_535;

/** @throws UsageError when a side is no whole number of 1 to 65,535. */
export function checkTerminalSize({ rows, cols }: TerminalSize): void {
  for (const [side, length] of Object.entries({ rows, cols })) {
    if (Number.isInteger(length) && length >= 1 && length <= LENGTH_MAX) continue;
    throw new UsageError(`a terminal has 1 to ${LENGTH_MAX} ${side}, got ${String(length)}`);
  }
}
