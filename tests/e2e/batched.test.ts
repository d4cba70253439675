import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

describe("batched functions", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/batched.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const find = async <Args extends unknown[], Result>(name: string) =>
    platform.lookup<Args, Result>("batched", name);

  it("run inputs of several calls together, and an error in the list fails one of them", async () => {
    const together = await find<[string, number], string>("together");
    const calls = ["a", "b", "wrong", "c"].map(async (word, at) => together.remote(word, at));
    const [a, b, wrong, c] = await Promise.allSettled(calls);
    const order = (a as PromiseFulfilledResult<string>).value.slice("a 0 of ".length);
    expect(order.split(",").toSorted()).toEqual(["a", "b", "c", "wrong"]);
    expect(b).toMatchObject({ value: `b 1 of ${order}` });
    expect(c).toMatchObject({ value: `c 3 of ${order}` });
    expect(wrong).toMatchObject({ reason: { name: "RangeError", message: "this one alone" } });
  });

  it("run items of a map together", async () => {
    const together = await find<[string, number], string>("together");
    const items: [string, number][] = ["a", "b", "c", "d"].map((word, at) => [word, at + 1]);
    const results: string[] = [];
    for await (const result of together.starmap(items)) results.push(result);
    expect(results).toEqual(["a", "b", "c", "d"].map((word, at) => `${word} ${at + 1} of a,b,c,d`));
  });

  it("tell both numbers when a list is too short, and try all inputs again when they may", async () => {
    const short = await find<[number], number>("short");
    const failures = await Promise.allSettled([short.remote(1), short.remote(2)]);
    for (const failure of failures) {
      const message = expect.stringMatching(/given 2 inputs and returned 1 results/) as string;
      expect(failure).toMatchObject({ status: "rejected", reason: { message } });
    }
    const second = await find<[number], number>("second");
    expect(await Promise.all([second.remote(1), second.remote(2)])).toEqual([2, 3]);
  });

  it("end a cancelled input and not the others of its batch, and the code when nobody waits", async () => {
    const slow = await find<[number], number>("slow");
    const [gone, stays] = await Promise.all([slow.spawn(1), slow.spawn(2)]);
    const began = async (): Promise<string> => platform.cli("logs", "batched");
    await expect.poll(began).toMatch(/begins with/);
    await gone.cancel();
    expect(await stays.get()).toBe(2);
    const hung = await Promise.all([slow.spawn(0), slow.spawn(0)]);
    await expect.poll(began).toMatch(/begins with 0,0/);
    await Promise.all(hung.map(async (call) => call.cancel()));
    expect(await Promise.all([slow.remote(3), slow.remote(4)])).toEqual([3, 4]);
  });
});
