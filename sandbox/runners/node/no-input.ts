/** The input of the user's code: it has ended before it began. */
import { Readable } from "node:stream";

/**
 * Puts an input without content in place of the process's own, which is the channel. Node makes
 * `process.stdin` when it is first looked at, and so when anything imports `node:process`; that
 * would fail, since the descriptor is in use.
 */
export function replaceInput(): void {
  const value = new Readable({ read: () => undefined });
  value.push(null);
  Object.defineProperty(process, "stdin", { value, configurable: true, enumerable: true });
}
