/**
 * Server-sent events: one stream to one client, with heartbeats and a bound on what waits.
 *
 * At most about `BUFFERED_BYTES_MAX` wait for a client that does not read; when that many
 * have waited for `STALL_MS` the connection is cut. The client resumes with `Last-Event-ID`,
 * so being cut loses nothing but what the capped stream has dropped meanwhile.
 */
import type { ServerResponse } from "node:http";
import type { Clock } from "../../core/index.ts";
import type { SharedEvent } from "../events/shared-event.ts";

const BUFFERED_BYTES_MAX = 1024 * 1024;
/** What is written at once, about: more would cost no less, and pass the bound by as much. */
const WRITE_BYTES = 64 * 1024;
const STALL_MS = 5_000;
const HEARTBEAT_MS = 15_000;
/** What clients wait before they reconnect. */
const RETRY_MS = 1_000;

/**
 * Writes events to a response until they end, the client goes or reads too slowly.
 * Resolves when nothing more will be written; never rejects because of the client.
 */
export async function writeEvents(
  response: ServerResponse,
  batches: AsyncIterable<readonly SharedEvent[]>,
  options: { readonly clock: Pick<Clock, "sleep">; readonly signal: AbortSignal },
): Promise<void> {
  const { clock, signal } = options;
  response.on("error", () => response.destroy());
  response.writeHead(200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
  const heartbeat = setInterval(() => response.write(":\n\n"), HEARTBEAT_MS);
  try {
    for await (const batch of batches) {
      for (const bytes of piecesOf(batch)) {
        if (signal.aborted || response.destroyed) return;
        response.write(bytes);
        if (response.writableLength <= BUFFERED_BYTES_MAX) continue;
        if (!(await drains(response, clock, signal))) response.destroy();
      }
    }
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

/** The frames of a batch, joined to pieces of about `WRITE_BYTES`. */
function* piecesOf(batch: readonly SharedEvent[]): Generator<Uint8Array, void, void> {
  let waiting: Uint8Array[] = [];
  let byteCount = 0;
  for (const { frame } of batch) {
    waiting.push(frame);
    byteCount += frame.byteLength;
    if (byteCount < WRITE_BYTES) continue;
    yield Buffer.concat(waiting);
    waiting = [];
    byteCount = 0;
  }
  const [only, ...more] = waiting;
  if (only !== undefined) yield more.length === 0 ? only : Buffer.concat(waiting);
}

/** Waits until the client has read everything; false when it has not after `STALL_MS`. */
async function drains(
  response: ServerResponse,
  clock: Pick<Clock, "sleep">,
  signal: AbortSignal,
): Promise<boolean> {
  const done = new AbortController();
  const stop = (): void => done.abort();
  response.once("drain", stop);
  response.once("close", stop);
  signal.addEventListener("abort", stop, { once: true });
  await clock.sleep(STALL_MS, done.signal);
  response.off("drain", stop);
  response.off("close", stop);
  signal.removeEventListener("abort", stop);
  return done.signal.aborted;
}
