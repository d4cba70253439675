import { expect, test } from "vitest";
import type { LocalInput } from "./input.ts";
import { Bench, CALL, settled } from "./test-dispatcher.ts";

test("a dispatcher lets inputs that can be on time pass those that cannot, and keeps the locks of these", async () => {
  const bench = new Bench();
  bench.dispatcher.containerReady("co_a");
  await bench.dispatcher.enqueue(CALL, 0, 1);
  for (const index of [1, 2]) await bench.dispatcher.enqueue(CALL, index, index + 1);
  await settled();
  let running: readonly LocalInput[] = bench.takeSent().get("co_a") ?? [];
  const order: number[] = [];
  const next = async (): Promise<void> => {
    await bench.answer("co_a", running, "succeeded", 3_000);
    running = bench.takeSent().get("co_a") ?? [];
    order.push(...running.map(({ index }) => index));
  };
  bench.nowMs = 3_000;
  await bench.dispatcher.enqueue(CALL, 3, 4);
  await next();
  expect(order).toEqual([3]);
  // The two that stepped aside are ours, and stay so.
  expect(bench.queue.waiting).toEqual([]);
  await bench.dispatcher.renewLeases();
  expect(bench.queue.renewed.map(({ from }) => from).toSorted()).toEqual([1, 2, 3]);
  await next();
  bench.nowMs = 15_000;
  await bench.dispatcher.enqueue(CALL, 4, 5);
  await next();
  await next();
  expect(order).toEqual([3, 1, 2, 4]);
  // The first, and those that went before others.
  expect(bench.dispatcher.onTimeCount).toBe(3);
  await next();
  expect(bench.queue.held.size).toBe(0);
});

test("a dispatcher gives back what stepped aside when it closes", async () => {
  const bench = new Bench();
  bench.dispatcher.containerReady("co_a");
  for (const index of [0, 1, 2]) await bench.dispatcher.enqueue(CALL, index, index + 1);
  await settled();
  bench.nowMs = 3_000;
  await bench.dispatcher.enqueue(CALL, 3, 4);
  await bench.answer("co_a", bench.takeSent().get("co_a") ?? []);
  await bench.dispatcher.close();
  expect(bench.queue.waiting.map(({ from }) => from).toSorted()).toEqual([1, 2, 3]);
  expect(bench.queue.held.size).toBe(0);
});

test("a dispatcher does not count the start of a container against what it was started for", async () => {
  const bench = new Bench();
  await bench.dispatcher.enqueue(CALL, 0, 2);
  bench.nowMs = 6_000;
  bench.dispatcher.containerReady("co_a", 5_000);
  await settled();
  expect(bench.dispatcher.onTimeCount).toBe(1);
  await bench.answer("co_a", bench.takeSent().get("co_a") ?? [], "succeeded", 3_000);
  expect(bench.takeSent().get("co_a")).toHaveLength(1);
  expect(bench.dispatcher.onTimeCount).toBe(1);
});
