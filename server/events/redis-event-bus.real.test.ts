import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import type { Clock } from "../../core/index.ts";
import type { PlatformEvent } from "../../sdk/protocol/index.ts";
import { connectRedis } from "../redis/endpoint.ts";
import { startRedisChild, type RedisChild } from "../redis/redis-child.ts";
import type { EventFilter } from "../services.ts";
import { createRedisEventBus, type RedisEventBus } from "./redis-event-bus.ts";

const clock: Clock = {
  nowMs: () => Date.now(),
  sleep: async (durationMs, signal) => {
    await sleep(durationMs, undefined, signal === undefined ? {} : { signal }).catch(
      () => undefined,
    );
  },
};

let dataDir: string;
let child: RedisChild;
let streamCount = 0;
let bus: RedisEventBus;
let stop: AbortController;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "flotilla-events-"));
  child = await startRedisChild({ dataDir });
});

afterAll(async () => {
  await child.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const open = (): RedisEventBus =>
  createRedisEventBus({
    endpoint: child.endpoint,
    clock,
    streamKey: `events-${streamCount}`,
    onError: () => undefined,
  });

beforeEach(() => {
  streamCount += 1;
  bus = open();
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await bus.close();
});

const log = (to: RedisEventBus, sequence: number, callId = "ca_1"): void =>
  to.publish({ callId, appId: "ap_1" }, { kind: "log", stream: "stdout", text: "x", sequence });

/** The events of a filter, one by one. */
async function* eventsOf(
  from: RedisEventBus,
  filter: EventFilter,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<PlatformEvent> {
  for await (const batch of from.read(filter, after, signal)) {
    for (const { event } of batch) yield event;
  }
}

/** Reads until `count` events have come. */
const take = async (events: AsyncIterable<PlatformEvent>, count: number) => {
  const taken: PlatformEvent[] = [];
  for await (const event of events) {
    taken.push(event);
    if (taken.length === count) break;
  }
  return taken;
};

const sequences = (events: readonly PlatformEvent[]): readonly number[] =>
  events.map((event) => (event.kind === "log" ? event.sequence : -1));

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

/** A read that surely sees what is published after this resolves. */
const follow = async (from = bus): Promise<AsyncIterator<PlatformEvent>> => {
  const events = eventsOf(from, {}, undefined, stop.signal);
  const first = events.next();
  // "From now on" begins when Redis has said where the stream ends: publish until one arrives.
  const knock = async (): Promise<void> => {
    while (!stop.signal.aborted && !(await isSettled(first))) {
      from.publish({}, { kind: "call.pending", reason: "knock" });
      await sleep(20);
    }
  };
  await knock();
  return events;
};

const isSettled = async (promise: Promise<unknown>): Promise<boolean> =>
  Promise.race([promise.then(() => true), sleep(0).then(() => false)]);

/** Log events from an iterator, in order, other kinds left out. */
const takeLogs = async (events: AsyncIterator<PlatformEvent>, count: number) => {
  const taken: PlatformEvent[] = [];
  while (taken.length < count) {
    const next = await events.next();
    if (next.done === true) break;
    if (next.value.kind === "log") taken.push(next.value);
  }
  return taken;
};

test("events come in order, stamped, from the oldest kept", async () => {
  for (const sequence of upTo(3_000)) log(bus, sequence);
  const events = await take(eventsOf(bus, {}, "0", stop.signal), 3_000);
  expect(sequences(events)).toEqual(upTo(3_000));
  expect(events[0]).toMatchObject({ kind: "log", appId: "ap_1", callId: "ca_1", text: "x" });
  expect(events[0]?.atMs).toBeGreaterThan(0);
});

test("a reader resumes after the id it saw last, without a gap or a repeat", async () => {
  for (const sequence of upTo(100)) log(bus, sequence);
  const first = await take(eventsOf(bus, {}, "0", stop.signal), 40);
  const rest = await take(eventsOf(bus, {}, first.at(-1)?.eventId, stop.signal), 60);
  expect(sequences([...first, ...rest])).toEqual(upTo(100));
});

test("live events reach every reader, of this process and of another", async () => {
  const other = open();
  const [mine, mineToo, theirs] = [await follow(), await follow(), await follow(other)];
  for (const sequence of upTo(50)) log(bus, sequence);
  for (const events of [mine, mineToo, theirs]) {
    expect(sequences(await takeLogs(events, 50))).toEqual(upTo(50));
  }
  await other.close();
});

test("catching up and following join without a gap while events pour in", async () => {
  const total = 6_000;
  const publishAll = async (): Promise<void> => {
    for (const sequence of upTo(total)) {
      log(bus, sequence);
      if (sequence % 200 === 0) await sleep(1);
    }
  };
  const [events] = await Promise.all([
    take(eventsOf(bus, {}, "0", stop.signal), total),
    publishAll(),
  ]);
  expect(sequences(events)).toEqual(upTo(total));
});

test("a reader too slow for its buffer reads the stream again and misses nothing", async () => {
  const events = await follow();
  for (const sequence of upTo(9_000)) {
    log(bus, sequence);
    if (sequence % 500 === 0) await sleep(2);
  }
  await take(eventsOf(bus, {}, "0", stop.signal), 9_000);
  expect(sequences(await takeLogs(events, 9_000))).toEqual(upTo(9_000));
});

test("a filter lets through what is about its subject only", async () => {
  for (const sequence of upTo(10)) log(bus, sequence, sequence % 2 === 0 ? "ca_even" : "ca_odd");
  const events = await take(eventsOf(bus, { callId: "ca_even" }, "0", stop.signal), 5);
  expect(sequences(events)).toEqual([2, 4, 6, 8, 10]);
});

test("a killed Redis loses no reader and no later event", async () => {
  const events = await follow();
  const pid = child.pid();
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  for (const sequence of upTo(500)) log(bus, sequence);
  const taken = await takeLogs(events, 500);
  expect(sequences(taken)).toEqual(upTo(500));
  expect(bus.droppedCount()).toBe(0);
});

test("while Redis is away publishing costs bounded memory and counts what it drops", async () => {
  const away = createRedisEventBus({
    endpoint: { path: join(dataDir, "nobody.sock") },
    clock,
    onError: () => undefined,
  });
  for (const sequence of upTo(25_000)) log(away, sequence);
  expect(away.droppedCount()).toBe(15_000);
  await away.close();
});

test("the stream stays near its bound", async () => {
  log(bus, 0);
  await take(eventsOf(bus, {}, "0", stop.signal), 1);
  const redis = connectRedis(child.endpoint, "test", () => undefined);
  const lengthOf = async (): Promise<number> => redis.xlen(`events-${streamCount}`);
  for (const sequence of upTo(30_000)) {
    log(bus, sequence);
    if (sequence % 5_000 !== 0) continue;
    // Until they are written: the bus drops what it cannot hold meanwhile.
    const written = Math.min(sequence, 19_999);
    await expect.poll(lengthOf).toBeGreaterThan(written);
  }
  expect(await redis.xlen(`events-${streamCount}`)).toBeLessThan(21_000);
  redis.disconnect();
});

test("what is said to be written is in the stream", async () => {
  const redis = connectRedis(child.endpoint, "test", () => undefined);
  for (const sequence of upTo(700)) log(bus, sequence);
  await bus.written();
  expect(await redis.xlen(`events-${streamCount}`)).toBe(700);
  await bus.written();
  log(bus, 701);
  const pid = child.pid();
  if (pid !== undefined) process.kill(pid, "SIGKILL");
  await bus.written();
  expect(sequences(await take(eventsOf(bus, {}, "0", stop.signal), 1))).toEqual([1]);
  expect(await redis.xlen(`events-${streamCount}`)).toBeGreaterThanOrEqual(1);
  redis.disconnect();
});

test("foreign entries in the stream are passed over", async () => {
  const redis = connectRedis(child.endpoint, "test", () => undefined);
  for (const text of ["not json", "null", "[]", '{"kind":1}']) {
    await redis.xadd(`events-${streamCount}`, "*", "e", text);
  }
  log(bus, 1);
  expect(sequences(await take(eventsOf(bus, {}, "0", stop.signal), 1))).toEqual([1]);
  redis.disconnect();
});

test("an aborted reader ends, and a closed bus ends its readers", async () => {
  const aborted = await follow();
  const closed = await follow(bus);
  const own = new AbortController();
  const ended = take(eventsOf(bus, {}, undefined, own.signal), 1);
  own.abort();
  expect(await ended).toEqual([]);
  stop.abort();
  await bus.close();
  for (const events of [aborted, closed]) {
    let last = await events.next();
    while (last.done !== true) last = await events.next();
    expect(last.value).toBeUndefined();
  }
});

test.each(["", "abc", "-1", "1-2-3", "$", "99999999999999999999-0"])(
  "%j is refused as an event id",
  (after) => {
    expect(() => bus.read({}, after, stop.signal)).toThrow(/is no event id/);
  },
);
