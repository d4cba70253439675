import { expect, test } from "vitest";
import { SharedWork, type Follower } from "./shared-work.ts";

interface Started extends Follower {
  readonly end: PromiseWithResolvers<undefined>;
}

function bench() {
  const shared = new SharedWork();
  const started: Started[] = [];
  const begin = (all: Follower): Promise<void> => {
    const end = Promise.withResolvers<undefined>();
    started.push({ ...all, end });
    return end.promise;
  };
  const follow = (key = "a") => {
    const lines: string[] = [];
    const leaving = new AbortController();
    const follower = { onLine: (line: string) => void lines.push(line), signal: leaving.signal };
    const done = shared.do(key, follower, begin);
    done.catch(() => undefined);
    return { lines, leaving, done };
  };
  return { shared, started, follow };
}

test("who wants the same at the same time shares it, and hears what was said before", async () => {
  const { started, follow } = bench();
  const one = follow();
  started[0]?.onLine("first");
  const two = follow();
  started[0]?.onLine("second");
  expect(started).toHaveLength(1);
  expect(one.lines).toEqual(["first", "second"]);
  expect(two.lines).toEqual(["first", "second"]);
  started[0]?.end.resolve(undefined);
  await Promise.all([one.done, two.done]);
});

test("who wants another thing, or the same after its end, begins anew", async () => {
  const { shared, started, follow } = bench();
  const one = follow("a");
  follow("b");
  expect(started).toHaveLength(2);
  started[0]?.end.resolve(undefined);
  await one.done;
  expect([...shared.keys]).toEqual(["b"]);
  follow("a");
  expect(started).toHaveLength(3);
});

test("it goes on while one still waits, and is cancelled with the last", async () => {
  const { started, follow } = bench();
  const [one, two] = [follow(), follow()];
  one.leaving.abort(new Error("left"));
  await expect(one.done).rejects.toThrow("left");
  expect(started[0]?.signal.aborted).toBe(false);
  two.leaving.abort(new Error("left too"));
  await expect(two.done).rejects.toThrow("left too");
  expect(started[0]?.signal.aborted).toBe(true);
});

test("nobody joins what is being given up", async () => {
  const { started, follow } = bench();
  const one = follow();
  one.leaving.abort(new Error("left"));
  await expect(one.done).rejects.toThrow("left");
  const two = follow();
  expect(started).toHaveLength(2);
  started[0]?.end.reject(new Error("given up"));
  started[1]?.end.resolve(undefined);
  await two.done;
});

test("a failure is everybody's, and the next attempt is a new one", async () => {
  const { started, follow } = bench();
  const [one, two] = [follow(), follow()];
  started[0]?.end.reject(new Error("broken"));
  await expect(one.done).rejects.toThrow("broken");
  await expect(two.done).rejects.toThrow("broken");
  follow();
  expect(started).toHaveLength(2);
});
