/** The size of a terminal, and whether one can have it. */
import { UsageError } from "../errors.ts";

/** The size of a terminal. */
export interface TerminalSize {
  readonly rows: number;
  readonly cols: number;
}

const LENGTH_MAX = 65_535;

/** @throws UsageError when a side is no whole number of 1 to 65,535. */
export function checkTerminalSize({ rows, cols }: TerminalSize): void {
  for (const [side, length] of Object.entries({ rows, cols })) {
    if (Number.isInteger(length) && length >= 1 && length <= LENGTH_MAX) continue;
    throw new UsageError(`a terminal has 1 to ${LENGTH_MAX} ${side}, got ${String(length)}`);
  }
}
