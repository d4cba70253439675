import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CallTarget } from "./call-target.ts";
import { Client } from "./client/client.ts";
import { FakeServer, withFakeServer, type FakeServerOptions } from "./fake/fake-server.ts";
import { RemoteFunction } from "./function.ts";
import type { MapOptions } from "./map.ts";

async function withMap(
  options: FakeServerOptions,
  body: (fn: RemoteFunction<[unknown]>, server: FakeServer) => Promise<void>,
): Promise<void> {
  await withFakeServer(options, async (server) => {
    const client = new Client({ serverUrl: server.url, token: "fl_test" });
    const binding = { name: "f", functionId: server.functionId };
    await body(new RemoteFunction(new CallTarget({ app: "a", binding, client })), server);
  });
}

const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const requestsOf = (server: FakeServer, end: string): number =>
  server.requests.filter((name) => name.endsWith(end)).length;

async function collect<T>(results: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const result of results) all.push(result);
  return all;
}

describe("results", () => {
  test("ten thousand items come back in order, in few requests", async () => {
    await withMap({ answer: ([x]) => ({ value: Number(x) ** 2 }) }, async (fn, server) => {
      expect(await collect(fn.map(range(10_000)))).toEqual(range(10_000).map((x) => x ** 2));
      expect(requestsOf(server, "/inputs")).toBeLessThan(200);
      expect(requestsOf(server, "/cancel")).toBe(0);
    });
  });

  test("ordered results keep the items' order however they finish", async () => {
    const options = { shuffle: <T>(results: T[]): T[] => results.toReversed() };
    await withMap(options, async (fn) => {
      expect(await collect(fn.map(range(3_000)))).toEqual(range(3_000));
    });
  });

  test("unordered results come as they finish, each once", async () => {
    const options = { shuffle: <T>(results: T[]): T[] => results.toReversed() };
    await withMap(options, async (fn) => {
      const all = await collect(fn.map(range(100), { ordered: false }));
      expect(all).toEqual(range(100).toReversed());
    });
  });

  test("any count of items, window, page size and order gives every result once", async () => {
    const cases = fc.record({
      count: fc.integer({ min: 0, max: 60 }),
      concurrency: fc.integer({ min: 1, max: 20 }),
      pageSize: fc.integer({ min: 1, max: 10 }),
      ordered: fc.boolean(),
      isAsync: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ count, concurrency, pageSize, ordered, isAsync }) => {
        await withMap({ pageSize }, async (fn) => {
          const items = isAsync ? asyncRange(count) : range(count);
          const all = await collect(fn.map(items, { ordered, concurrency }));
          if (!ordered) all.sort((a, b) => Number(a) - Number(b));
          expect(all).toEqual(range(count));
        });
      }),
      { numRuns: 30 },
    );
  });

  test("no items make no call", async () => {
    await withMap({}, async (fn, server) => {
      expect(await collect(fn.map([]))).toEqual([]);
      expect(server.requests).toEqual([]);
    });
  });
});

describe("back-pressure", () => {
  test("an endless source is read no further ahead than the window", async () => {
    let pulled = 0;
    function* endless(): Generator<number> {
      for (;;) yield pulled++;
    }
    await withMap({}, async (fn) => {
      let consumed = 0;
      for await (const value of fn.map(endless(), { concurrency: 50 })) {
        expect(value).toBe(consumed++);
        expect(pulled).toBeLessThanOrEqual(consumed + 50 + 1);
        if (consumed === 500) break;
      }
    });
  });

  test("one stuck item stops the source one window later, in ordered mode", async () => {
    let pulled = 0;
    function* source(): Generator<number> {
      for (;;) yield pulled++;
    }
    const answer: FakeServerOptions["answer"] = ([x]) => (x === 3 ? "never" : { value: x });
    await withMap({ answer }, async (fn, server) => {
      const results = fn.map(source(), { concurrency: 20 });
      for (const expected of [0, 1, 2]) expect((await results.next()).value).toBe(expected);
      const stuck = results.next();
      const [callId] = server.calls.keys();
      const call = server.calls.get(callId!)!;
      while (call.seen.size < 23) await new Promise((resolve) => setImmediate(resolve));
      expect(pulled).toBe(23);
      server.finish(callId!, 3, "freed");
      expect((await stuck).value).toBe("freed");
      await results.return();
    });
  });
});

describe("failure", () => {
  test("the first failure is thrown as the user's error and cancels the call", async () => {
    const error = { name: "TypeError", message: "no", stack: "TypeError: no\n    at f (a.ts:1:1)" };
    const answer: FakeServerOptions["answer"] = ([x]) =>
      x === 2 ? { error } : x === 5 ? "never" : { value: x };
    await withMap({ answer }, async (fn, server) => {
      const seen: unknown[] = [];
      const run = async (): Promise<void> => {
        for await (const value of fn.map(range(10))) seen.push(value);
      };
      await expect(run()).rejects.toMatchObject(error);
      expect(seen).toEqual([0, 1]);
      expect(requestsOf(server, "/cancel")).toBe(1);
    });
  });

  test("leaving the loop cancels the call and closes the source", async () => {
    let closed = false;
    function* source(): Generator<number> {
      try {
        for (let x = 0; ; x++) yield x;
      } finally {
        closed = true;
      }
    }
    await withMap({ answer: ([x]) => (x === 0 ? { value: x } : "never") }, async (fn, server) => {
      for await (const value of fn.map(source(), { concurrency: 10 })) {
        expect(value).toBe(0);
        break;
      }
      expect(closed).toBe(true);
      expect(requestsOf(server, "/cancel")).toBe(1);
    });
  });

  test("an error of the source is thrown and cancels the call", async () => {
    async function* source(): AsyncGenerator<number> {
      yield 1;
      throw new Error("the source broke");
    }
    await withMap({ answer: () => "never" }, async (fn) => {
      await expect(collect(fn.map(source()))).rejects.toThrow("the source broke");
    });
  });

  test("an item that cannot be sent is named by its position", async () => {
    await withMap({}, async (fn) => {
      await expect(collect(fn.map([1, 2, { cb: () => 1 }]))).rejects.toThrow(
        "item 2: args[0].cb is a function, which cannot be sent",
      );
    });
  });

  test("a call that someone cancelled ends the loop", async () => {
    await withMap({ answer: () => "never" }, async (fn, server) => {
      const all = collect(fn.map(range(5)));
      while (server.calls.size === 0) await new Promise((resolve) => setImmediate(resolve));
      const [callId] = server.calls.keys();
      const client = new Client({ serverUrl: server.url, token: "t" });
      await client.cancelCall(callId!);
      await expect(all).rejects.toMatchObject({ name: "CallError", code: "cancelled" });
    });
  });

  test.each([0, -1, 1.5, NaN, 1e9])("a concurrency of %d is refused", async (concurrency) => {
    await withMap({}, async (fn) => {
      const options: MapOptions = { concurrency };
      await expect(collect(fn.map([1], options))).rejects.toThrow(/concurrency must be/);
    });
  });
});

describe("a server that comes and goes", () => {
  test("every third request breaks and yet each result comes once", async () => {
    let count = 0;
    const breaks = (): boolean => ++count % 3 === 0;
    await withMap({ breaks, pageSize: 100 }, async (fn, server) => {
      const items = range(1_500);
      expect(await collect(fn.map(items, { concurrency: 400 }))).toEqual(items);
      const [call] = server.calls.values();
      expect(call?.seen.size).toBe(1_500);
      expect(server.calls.size).toBe(1);
    });
  });
});

async function* asyncRange(count: number): AsyncGenerator<number> {
  for (let index = 0; index < count; index++) {
    if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    yield index;
  }
}
