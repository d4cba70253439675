import { describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { Client } from "./client/client.ts";
import {
  CallError,
  NotFoundError,
  SerializationError,
  TimeoutError,
  UsageError,
} from "./errors.ts";
import { FakeServer, withFakeServer, type FakeServerOptions } from "./fake/fake-server.ts";
import { FunctionCall } from "./function-call.ts";
import type { RemoteFunction } from "./function.ts";
import { RemoteError } from "./remote-error.ts";

const LOOKUP = "GET /v1/apps/shop/functions/price";
const CREATE = "POST /v1/functions/fn_1/calls";

function clientOf(server: FakeServer): Client {
  return new Client({ serverUrl: server.url, token: "fl_test" });
}

async function withFunction(
  options: FakeServerOptions,
  body: (price: RemoteFunction<[number]>, server: FakeServer) => Promise<void>,
): Promise<void> {
  await withFakeServer(options, async (server) => {
    const client = clientOf(server);
    await body(await App.lookup<[number]>("shop", "price", { client }), server);
  });
}

describe("remote", () => {
  test("a warm call is one request", async () => {
    await withFunction({ answer: ([x]) => ({ value: [x, "ok"] }) }, async (price, server) => {
      expect(await price.remote(1)).toEqual([1, "ok"]);
      server.requests.length = 0;
      expect(await price.remote(2)).toEqual([2, "ok"]);
      expect(server.requests).toEqual([CREATE]);
      expect([...server.tokens]).toEqual(["Bearer fl_test"]);
    });
  });

  test("a result that is not there at once is polled for", async () => {
    await withFunction({ answer: () => "never" }, async (price, server) => {
      const result = price.remote(1);
      await until(() => server.calls.size === 1);
      const [callId] = [...server.calls.keys()];
      server.finish(callId!, 0, "late");
      expect(await result).toBe("late");
    });
  });

  test("a broken connection is tried again under the same call id", async () => {
    let breaks = 2;
    const options = { breaks: (name: string) => name === CREATE && breaks-- > 0 };
    await withFunction(options, async (price, server) => {
      expect(await price.remote(5)).toBe(5);
      expect(server.requests.filter((name) => name === CREATE)).toHaveLength(3);
      expect(server.calls.size).toBe(1);
    });
  });

  test("an answer of 503 is tried again, one of 400 is not", async () => {
    let left = 1;
    const answers = [503, 400];
    const options = {
      refuses: (name: string) => (name === CREATE && left > 0 ? answers[left--] : undefined),
    };
    await withFunction(options, async (price, server) => {
      left = 0;
      server.requests.length = 0;
      expect(await price.remote(1)).toBe(1);
      left = 1;
      await expect(price.remote(1)).rejects.toMatchObject({ code: "http_400" });
    });
  });

  test("a function that was deployed again is looked up again", async () => {
    await withFunction({}, async (price, server) => {
      server.functionId = "fn_2";
      expect(await price.remote(3)).toBe(3);
      expect(server.requests.filter((name) => name === LOOKUP)).toHaveLength(2);
    });
  });

  test("an error comes back with its name, message, stack and cause", async () => {
    const wire = {
      name: "RangeError",
      message: "too big",
      stack: "RangeError: too big\n    at price (file:///app/shop.ts:3:9)",
      cause: { name: "PaymentError", message: "declined" },
    };
    await withFunction({ answer: () => ({ error: wire }) }, async (price) => {
      const error = await price.remote(1).catch((thrown: unknown) => thrown as Error);
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toBeInstanceOf(RemoteError);
      expect(error).toMatchObject({ name: "RangeError", message: "too big", stack: wire.stack });
      expect((error as Error).cause).toBeInstanceOf(RemoteError);
      expect((error as Error).cause).toMatchObject({ name: "PaymentError", message: "declined" });
      expect(new Error("other")).not.toBeInstanceOf(RemoteError);
    });
  });

  test("an input that the platform ended says why and what to do", async () => {
    const wire = { name: "Error", message: "used 300 of 256 MiB", code: "out_of_memory" } as const;
    await withFunction({ answer: () => ({ error: wire }) }, async (price) => {
      const error = await price.remote(1).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CallError);
      expect(error).toMatchObject({ code: "out_of_memory", message: wire.message });
      expect((error as CallError).nextStep).toContain("memoryMiB");
    });
  });

  test("an argument that cannot be sent fails before anything is sent", async () => {
    await withFunction({}, async (price, server) => {
      server.requests.length = 0;
      const broken = { cb: () => 1 } as unknown as number;
      await expect(price.remote(broken)).rejects.toThrow(
        "args[0].cb is a function, which cannot be sent",
      );
      await expect(price.remote(broken)).rejects.toBeInstanceOf(SerializationError);
      expect(server.requests).toEqual([]);
    });
  });

  test("an argument that is too large for any way names both sizes", async () => {
    await withFunction({}, async (price, server) => {
      server.requests.length = 0;
      const quarter = new Uint8Array(1024 * 1024 * 1024);
      const views = Array.from({ length: 5 }, () => quarter.subarray(0));
      const large = views as unknown as number;
      await expect(price.remote(large)).rejects.toThrow(/args take 53\d+ bytes.* 4294967296/);
      expect(server.requests).toEqual([]);
    });
  });
});

describe("lookup", () => {
  test("a function that is not there is told at once, with the next step", async () => {
    await withFakeServer({}, async (server) => {
      const looking = App.lookup("shop", "missing", { client: clientOf(server) });
      await expect(looking).rejects.toBeInstanceOf(NotFoundError);
      await expect(looking).rejects.toMatchObject({
        nextStep: expect.stringContaining("flotilla deploy") as string,
      });
    });
  });
});

describe("spawn", () => {
  test("a spawned call can be got by its id from elsewhere", async () => {
    await withFunction({ answer: ([x]) => ({ value: x }) }, async (price, server) => {
      const { callId } = await price.spawn(9);
      const call = FunctionCall.fromId<number>(callId, { client: clientOf(server) });
      expect(await call.get({ timeoutMs: 1_000 })).toBe(9);
      expect(await call.status()).toMatchObject({ state: "finished", inputCount: 1 });
    });
  });

  test("get gives up after its time and the call goes on", async () => {
    await withFunction({ answer: () => "never" }, async (price, server) => {
      const call = await price.spawn(9);
      await expect(call.get({ timeoutMs: 0 })).rejects.toBeInstanceOf(TimeoutError);
      server.finish(call.callId, 0, "done");
      expect(await call.get()).toBe("done");
    });
  });

  test("a cancelled call ends its waiters", async () => {
    await withFunction({ answer: () => "never" }, async (price) => {
      const call = await price.spawn(9);
      const result = call.get();
      await call.cancel();
      await expect(result).rejects.toMatchObject({ name: "CallError", code: "cancelled" });
    });
  });

  test("something that is no id is refused", () => {
    expect(() => FunctionCall.fromId("ca_1")).toThrow(UsageError);
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
