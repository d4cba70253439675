/**
 * Events of the platform as they happen, over server-sent events.
 *
 * A stream that breaks is opened again after the last event seen, so that a reader meets each
 * event once and in order, as long as the server still keeps it.
 */
import type { Client } from "./client.ts";
import { backoffMs, pause } from "./pause.ts";
import { ServerUnreachableError } from "../errors.ts";
import type { PlatformEvent } from "../protocol/index.ts";

/** Which events; absent fields match all. */
export interface EventQuery {
  /** An app's id. */
  readonly app?: string;
  readonly call?: string;
  readonly container?: string;
  /** Only what came after this event; "0" from the oldest kept, absent from now on. */
  readonly after?: string;
}

/** How long a server that has answered before may be away until the reader is told. */
const AWAY_MS_MAX = 60_000;

export interface StreamOptions {
  readonly signal: AbortSignal;
  /** Called each time the server begins to send. */
  readonly onOpen?: () => void;
}

/**
 * Events in order until the signal aborts.
 * @throws ServerUnreachableError if the server is not there, or goes away and stays away
 */
export async function* streamEvents(
  client: Client,
  query: EventQuery,
  options: StreamOptions,
): AsyncGenerator<PlatformEvent, void, undefined> {
  const { signal } = options;
  const seen = { server: false };
  const onOpen = (): void => {
    seen.server = true;
    options.onOpen?.();
  };
  const isOver = (): boolean => signal.aborted;
  let after = query.after;
  let lastHeardAtMs = performance.now();
  for (let attempt = 1; !isOver(); attempt++) {
    try {
      for await (const event of openStream(
        client,
        { ...query, ...optional(after) },
        { signal, onOpen },
      )) {
        attempt = 1;
        after = event.eventId;
        lastHeardAtMs = performance.now();
        yield event;
      }
    } catch (error) {
      if (isOver()) return;
      const isAway = error instanceof ServerUnreachableError || error instanceof TypeError;
      const awayMs = performance.now() - lastHeardAtMs;
      if (!isAway || !seen.server || awayMs > AWAY_MS_MAX) throw error;
    }
    await pause(backoffMs(attempt), signal);
  }
}

function optional(after: string | undefined): { readonly after?: string } {
  return after === undefined ? {} : { after };
}

async function* openStream(
  client: Client,
  query: EventQuery,
  { signal, onOpen }: StreamOptions,
): AsyncGenerator<PlatformEvent, void, undefined> {
  const parameters = new URLSearchParams({ ...query });
  const answer = await client.transport.open({
    method: "GET",
    path: `/v1/events?${parameters.toString()}`,
    waitMs: Infinity,
    signal,
  });
  onOpen?.();
  yield* parseEvents(textOf(answer.stream()));
}

async function* textOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  for await (const chunk of bytes) yield decoder.decode(chunk, { stream: true });
}

/**
 * The events in the text of a stream, cut anywhere. Comments and events of other names are
 * passed over.
 */
export async function* parseEvents(
  text: AsyncIterable<string>,
): AsyncGenerator<PlatformEvent, void, undefined> {
  let rest = "";
  let data: string[] = [];
  for await (const chunk of text) {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice("data:".length).trimStart());
      if (line !== "" || data.length === 0) continue;
      yield JSON.parse(data.join("\n")) as PlatformEvent;
      data = [];
    }
  }
}
