/** Whether a program could be started, and the error when not. */
import type { ChildProcess } from "node:child_process";
import { messageOf, PlatformError } from "../../core/index.ts";

/** Resolves when the child runs. @throws what the system said when it could not be started */
export async function spawned(child: ChildProcess): Promise<void> {
  if (child.pid !== undefined) return;
  await new Promise<void>((_, reject) => child.once("error", reject));
}

/** Clears away what was prepared and fails. @throws PlatformError `unavailable`, always */
export async function cannotStart(
  program: string,
  cause: unknown,
  clear: () => Promise<void>,
): Promise<never> {
  await clear();
  throw new PlatformError(`cannot start ${program}: ${messageOf(cause)}; see \`flotilla doctor\``, {
    code: "unavailable",
    retryable: false,
    cause,
  });
}
