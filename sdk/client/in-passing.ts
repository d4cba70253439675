/**
 * Requests that tidy up after something whose end is told already: cancelling what nobody waits
 * for, stopping what was not finished. They must not hide that end, nor hold it up.
 */
import { NotFoundError, ServerUnreachableError } from "../errors.ts";
import { pause } from "./pause.ts";

/** It is not worth a long wait for a server that is away. */
const TRY_FOR_MS = 5_000;
/** Whoever waits is let go after this long; the request is then tried on its own. */
const WAIT_MS_MAX = 300;

/**
 * Does what is asked, within 5 s; resolves once it is done, or after 0.3 s while it goes on.
 * That there is nothing to tidy up, and that the server is away, is no error.
 *
 * @param ask Must end with its signal.
 * @throws what else `ask` throws while it is waited for.
 */
export async function inPassing(ask: (limit: AbortSignal) => Promise<unknown>): Promise<void> {
  const limit = AbortSignal.timeout(TRY_FOR_MS);
  const waiting = new AbortController();
  const asked = ask(limit).catch((error: unknown) => {
    const isAway = error instanceof NotFoundError || error instanceof ServerUnreachableError;
    if (!isAway && !limit.aborted && !waiting.signal.aborted) throw error;
  });
  try {
    await Promise.race([asked, pause(WAIT_MS_MAX, waiting.signal)]);
  } finally {
    waiting.abort();
  }
}
