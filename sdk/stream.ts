/** Generators: one call whose values come as they are yielded. */
import { newCallId } from "./call-id.ts";
import { callHeaderOf, signalOf, type CallOptions } from "./call-options.ts";
import type { CallTarget } from "./call-target.ts";
import { cancelInPassing, type Client } from "./client/client.ts";
import { decodePayload } from "./client/large-values.ts";
import { pause } from "./client/pause.ts";
import { WAIT_MS_MAX } from "./protocol/api.ts";
import { waitForValue } from "./results.ts";

/** What a generator function yields; `never` for another, `unknown` when it is not known. */
export type Yielded<Result> = unknown extends Result
  ? unknown
  : Awaited<Result> extends AsyncGenerator<infer Value> | Generator<infer Value>
    ? Value
    : never;

/** What a generator function returns at its end; `never` and `unknown` as in `Yielded`. */
export type Returned<Result> = unknown extends Result
  ? unknown
  : Awaited<Result> extends
        AsyncGenerator<unknown, infer Value, never> | Generator<unknown, infer Value, never>
    ? Awaited<Value>
    : never;

/** Values of a page at most: what a reader is behind, the generator may be ahead. */
const PAGE_VALUES_MAX = 16;
/** A server that answers a long poll with nothing this fast is asked again only after a pause. */
const EMPTY_ANSWER_MS_MIN = 100;

/** Yields what the function yields, in order, each value once; gives what it returns. */
export async function* streamValues(
  target: CallTarget,
  args: readonly unknown[],
  options: CallOptions,
): AsyncGenerator<unknown, unknown, undefined> {
  const signal = signalOf(options);
  signal?.throwIfAborted();
  const payload = await target.encode(args, { signal });
  const callId = newCallId();
  const header = {
    callId,
    kind: "single",
    sizes: [payload.byteLength],
    final: true,
    waitMs: 0,
    stream: true,
    ...callHeaderOf(options),
  } as const;
  const { client } = target;
  let isOver = false;
  try {
    await target.createCall(header, [payload], signal);
    yield* valuesOf(client, callId, signal);
    isOver = true;
    return await waitForValue({ client, callId, signal });
  } finally {
    if (!isOver) await cancelInPassing(client, callId);
  }
}

async function* valuesOf(
  client: Client,
  callId: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown, void, undefined> {
  let cursor = 0;
  for (;;) {
    const startedAtMs = performance.now();
    const query = { cursor, limit: PAGE_VALUES_MAX, waitMs: WAIT_MS_MAX };
    const page = await client.values(callId, query, signal);
    for (const payload of page.payloads) {
      signal?.throwIfAborted();
      yield await decodePayload(payload, client.chunks, signal);
    }
    cursor = page.nextCursor;
    const isEmpty = page.payloads.length === 0;
    // The end is recorded after the last value, so that a page that is empty then is the end.
    if (isEmpty && page.status.state !== "running") return;
    const spentMs = performance.now() - startedAtMs;
    if (isEmpty && spentMs < EMPTY_ANSWER_MS_MIN) await pause(EMPTY_ANSWER_MS_MIN, signal);
    signal?.throwIfAborted();
  }
}
