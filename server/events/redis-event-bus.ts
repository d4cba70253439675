/**
 * The event bus on one capped Redis stream, shared by every server of the platform.
 *
 * Two connections per process however many readers there are: one that writes and catches up,
 * one that blocks on the end of the stream. Readers filter in process.
 */
import { PlatformError, type Clock } from "../../core/index.ts";
import type { EventBase, EventBody } from "../../sdk/protocol/index.ts";
import { connectRedis, type RedisEndpoint } from "../redis/endpoint.ts";
import type { EventBus, EventFilter } from "../services.ts";
import { encodeEvent } from "./event-codec.ts";
import { EventWriter } from "./event-writer.ts";
import type { SharedEvent } from "./shared-event.ts";
import { parseStreamId } from "./stream-id.ts";
import { readStream, type StreamReaderOptions } from "./stream-reader.ts";
import { BLOCKED_READ_TIMEOUT_MS, StreamTail } from "./stream-tail.ts";

const COMMAND_TIMEOUT_MS = 5_000;
const CLOSE_GRACE_MS = 1_000;

export interface RedisEventBusOptions {
  readonly endpoint: RedisEndpoint;
  readonly clock: Clock;
  /** Name of the stream; `flotilla:events` by default. */
  readonly streamKey?: string;
  /** Told about connection trouble; the bus mends it by itself. */
  readonly onError: (error: Error) => void;
}

export interface RedisEventBus extends EventBus {
  /** Events lost because Redis was away too long, since the start. */
  droppedCount(): number;
  /** Writes what is pending (at most a second), ends all readers, disconnects. */
  close(): Promise<void>;
}

/** An event bus; usable at once, whether Redis answers already or not. */
export function createRedisEventBus(options: RedisEventBusOptions): RedisEventBus {
  const { endpoint, clock, onError } = options;
  const streamKey = options.streamKey ?? "flotilla:events";
  // Commands fail as soon as the connection does: the writer and the readers try again
  // themselves, with what they still have to say.
  const redis = connectRedis(endpoint, "events", onError, {
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
  });
  const tail = new StreamTail({
    redis: connectRedis(endpoint, "events-tail", onError, {
      maxRetriesPerRequest: 0,
      commandTimeout: BLOCKED_READ_TIMEOUT_MS,
    }),
    streamKey,
    clock,
    onError,
  });
  const writer = new EventWriter({ redis, streamKey, clock });
  const closing = new AbortController();
  return {
    publish: (subject, body) => writer.add(encodeEvent(subject, body, clock.nowMs())),
    written: () => writer.written(),
    read: (filter, after, signal) =>
      readEvents(
        { tail, redis, streamKey, clock },
        filter,
        checkedId(after),
        AbortSignal.any([signal, closing.signal]),
      ),
    droppedCount: () => writer.droppedCount,
    close: async () => {
      const graceful = new AbortController();
      await Promise.race([writer.close(), clock.sleep(CLOSE_GRACE_MS, graceful.signal)]);
      graceful.abort();
      closing.abort();
      redis.disconnect();
      await tail.close();
    },
  };
}

async function* readEvents(
  options: StreamReaderOptions,
  filter: EventFilter,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<readonly SharedEvent[], void, void> {
  for await (const entries of readStream(options, after, signal)) {
    const wanted = entries
      .map(({ shared }) => shared)
      .filter((shared) => shared !== undefined)
      .filter(({ event }) => matches(event, filter));
    if (wanted.length > 0) yield wanted;
    if (signal.aborted) return;
  }
}

/** Whether an event is about everything that the filter names. */
function matches(event: EventBase & EventBody, filter: EventFilter): boolean {
  return (
    (filter.appId === undefined || event.appId === filter.appId) &&
    (filter.callId === undefined || event.callId === filter.callId) &&
    (filter.containerId === undefined || event.containerId === filter.containerId)
  );
}

function checkedId(after: string | undefined): string | undefined {
  if (after === undefined) return undefined;
  const id = parseStreamId(after);
  if (id !== undefined) return id;
  throw new PlatformError(`"${after.slice(0, 80)}" is no event id, e.g. "1764000000000-0"`, {
    code: "invalid_request",
    retryable: false,
  });
}
