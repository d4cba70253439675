import { expect, test } from "vitest";
import { CachedValue } from "./cached-value.ts";
import { createManualClock } from "./fake/index.ts";

function open() {
  const clock = createManualClock(1_000);
  const answers: (() => Promise<string>)[] = [];
  let loadCount = 0;
  const cached = new CachedValue({
    clock,
    load: () => {
      loadCount += 1;
      return (answers.shift() ?? (() => Promise.reject(new Error("down"))))();
    },
    ttlMs: 100,
    keepMs: 1_000,
    retryMs: 30,
  });
  const answer = (value: string) => answers.push(() => Promise.resolve(value));
  return { clock, cached, answers, answer, loads: () => loadCount };
}

test("the first one waits for the value, and then it is fresh for a while", async () => {
  const { clock, cached, answer, loads } = open();
  answer("a");
  expect(await cached.get()).toEqual({ value: "a", atMs: 1_000 });
  await clock.advance(99);
  expect(await cached.get()).toEqual({ value: "a", atMs: 1_000 });
  expect(loads()).toBe(1);
});

test("an old value is given at once while a new one is loaded, however slowly", async () => {
  const { clock, cached, answers, answer } = open();
  answer("a");
  await cached.get();
  await clock.advance(100);
  let finish = (_value: string): void => undefined;
  answers.push(() => new Promise((resolve) => (finish = resolve)));
  expect((await cached.get())?.value).toBe("a");
  expect((await cached.get())?.value).toBe("a");
  finish("b");
  await cached.settled();
  expect(await cached.get()).toEqual({ value: "b", atMs: 1_100 });
});

test("S32: a value whose source is down is kept with its date, and not for ever", async () => {
  const { clock, cached, answer, loads } = open();
  answer("a");
  await cached.get();
  for (let passedMs = 0; passedMs < 1_000; passedMs += 10) {
    await clock.advance(10);
    expect(await cached.get()).toEqual({ value: "a", atMs: 1_000 });
  }
  expect(loads()).toBeLessThanOrEqual(1 + 900 / 30 + 1);
  await clock.advance(10);
  expect(await cached.get()).toBeUndefined();
});

test("a source that is down at first does not make everybody wait", async () => {
  const { clock, cached, answer, loads } = open();
  expect(await cached.get()).toBeUndefined();
  expect(await cached.get()).toBeUndefined();
  expect(loads()).toBe(1);
  answer("a");
  await clock.advance(30);
  expect((await cached.get())?.value).toBe("a");
});
