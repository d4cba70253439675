import { afterEach, describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { Client } from "./client/client.ts";
import { UsageError } from "./errors.ts";
import { withFakeServer, type FakeServer, type FakeServerOptions } from "./fake/fake-server.ts";
import type { RemoteFunction } from "./function.ts";
import { RemoteError } from "./remote-error.ts";

const KEY = Symbol.for("flotilla.container");

async function withFunction<Args extends unknown[]>(
  options: FakeServerOptions,
  body: (fn: RemoteFunction<Args>, server: FakeServer) => Promise<void>,
): Promise<void> {
  await withFakeServer(options, async (server) => {
    const client = new Client({ serverUrl: server.url, token: "fl_test" });
    await body(await App.lookup<Args>("shop", "price", { client }), server);
  });
}

const headerOf = (server: FakeServer) => [...server.calls.values()].at(-1)?.header;

async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

afterEach(() => Reflect.deleteProperty(globalThis, KEY));

describe("a signal", () => {
  test("ends the wait with its reason and cancels the call", async () => {
    await withFunction<[number]>({ answer: () => "never" }, async (price, server) => {
      const controller = new AbortController();
      const result = price.with({ signal: controller.signal }).remote(1);
      await until(() => server.calls.size === 1);
      controller.abort(new RangeError("enough"));
      await expect(result).rejects.toThrow(new RangeError("enough"));
      expect([...server.calls.values()][0]?.cancelled).toBe(true);
    });
  });

  test("that has aborted before sends nothing but the cancel of what may be there", async () => {
    await withFunction<[number]>({}, async (price, server) => {
      const signal = AbortSignal.abort(new Error("before"));
      await expect(price.with({ signal }).remote(1)).rejects.toThrow("before");
      expect(server.calls.size).toBe(0);
      await expect(price.with({ signal }).spawn(1)).rejects.toThrow("before");
      const all = async () => collected(price.with({ signal }).map([1]));
      await expect(all()).rejects.toThrow("before");
      expect(server.calls.size).toBe(0);
    });
  });

  test("ends a map and cancels it", async () => {
    const answer = ([x]: unknown[]) => (x === 2 ? "never" : { value: x });
    await withFunction<[number]>({ answer }, async (price, server) => {
      const controller = new AbortController();
      const seen: unknown[] = [];
      const all = async (): Promise<void> => {
        for await (const one of price.with({ signal: controller.signal }).map([1, 2, 3])) {
          seen.push(one);
          controller.abort(new RangeError("enough"));
        }
      };
      await expect(all()).rejects.toThrow("enough");
      expect(seen).toEqual([1]);
      expect([...server.calls.values()][0]?.cancelled).toBe(true);
    });
  });

  test("of get ends the wait and not the call", async () => {
    await withFunction<[number]>({ answer: () => "never" }, async (price, server) => {
      const call = await price.spawn(1);
      const controller = new AbortController();
      const result = call.get({ signal: controller.signal });
      await until(() => server.requests.some((name) => name.endsWith("/results")));
      controller.abort(new Error("later"));
      await expect(result).rejects.toThrow("later");
      server.finish(call.callId, 0, 7);
      expect(await call.get()).toBe(7);
    });
  });
});

describe("within a container", () => {
  test("a call tells its parent, ends with it, and a spawned one does not", async () => {
    const parent = new AbortController();
    const value = {
      currentInput: () => ({ inputId: "ca_parent.3", signal: parent.signal }),
    };
    Object.defineProperty(globalThis, KEY, { value, configurable: true });
    await withFunction<[number]>({ answer: () => "never" }, async (price, server) => {
      const spawned = await price.spawn(1);
      const result = price.remote(2);
      await until(() => server.calls.size === 2);
      expect(headerOf(server)).toMatchObject({ parentCallId: "ca_parent" });
      parent.abort(new Error("the parent ended"));
      await expect(result).rejects.toThrow("the parent ended");
      expect(server.calls.get(spawned.callId)?.cancelled).toBe(false);
    });
  });
});

describe("deadlines and keys", () => {
  test("travel in the request", async () => {
    await withFunction<[number]>({}, async (price, server) => {
      await price.with({ deadlineMs: 5_000 }).with({ idempotencyKey: "order 7" }).remote(1);
      expect(headerOf(server)).toMatchObject({ deadlineInMs: 5_000, idempotencyKey: "order 7" });
      await price.remote(1);
      expect(headerOf(server)).not.toHaveProperty("deadlineInMs");
    });
  });

  test.each([
    [{ deadlineMs: 0 }, /deadlineMs must be a whole number/],
    [{ deadlineMs: 1.5 }, /deadlineMs/],
    [{ deadlineMs: 604_800_001 }, /deadlineMs/],
    [{ idempotencyKey: "" }, /1 to 255 characters/],
    [{ idempotencyKey: "x".repeat(256) }, /1 to 255 characters/],
  ])("that are wrong are told: %j", async (options, message) => {
    await withFunction<[number]>({}, async (price) => {
      expect(() => price.with(options)).toThrow(UsageError);
      expect(() => price.with(options)).toThrow(message);
      await Promise.resolve();
    });
  });

  test("a map takes no key", async () => {
    await withFunction<[number]>({}, async (price) => {
      const map = price.with({ idempotencyKey: "k" }).map([1]);
      await expect(collected(map)).rejects.toThrow(/takes no idempotencyKey/);
    });
  });
});

describe("many inputs", () => {
  const failing = {
    answer: ([x]: unknown[]) =>
      x === 2 ? { error: { name: "RangeError", message: "two" } } : { value: x },
  };

  test("returnExceptions yields errors in place of results, in order, and goes on", async () => {
    await withFunction<[number]>(failing, async (price, server) => {
      const results = await collected(price.map([1, 2, 3], { returnExceptions: true }));
      expect(results).toMatchObject([1, { name: "RangeError", message: "two" }, 3]);
      expect(results[1]).toBeInstanceOf(RemoteError);
      expect([...server.calls.values()][0]?.cancelled).toBe(false);
    });
  });

  test("starmap spreads each item over the arguments", async () => {
    const answer = (args: unknown[]) => ({ value: args });
    await withFunction<[number, string]>({ answer }, async (price) => {
      const pairs: [number, string][] = [
        [1, "a"],
        [2, "b"],
      ];
      expect(await collected(price.starmap(pairs))).toEqual(pairs);
      const wrong = [5] as unknown as [number, string][];
      await expect(collected(price.starmap(wrong))).rejects.toThrow(/item 0 of starmap is no list/);
    });
  });

  test("forEach waits for all and throws the first failure", async () => {
    await withFunction<[number]>(failing, async (price, server) => {
      await price.forEach([1, 3, 4]);
      expect([...server.calls.values()][0]?.results).toHaveLength(3);
      await expect(price.forEach([1, 2])).rejects.toThrow("two");
      await price.forEach([1, 2], { returnExceptions: true });
    });
  });
});
