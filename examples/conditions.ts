/**
 * Calls under conditions, and a function that calls another one.
 *
 *     flotilla run examples/conditions.ts
 */
import { setTimeout } from "node:timers/promises";
import { App, CallError, currentInput } from "flotilla";

const app = new App("conditions");

export const slow = app.function({}, async (ms: number) => {
  if (ms < 0) throw new RangeError(`nobody can wait ${ms} ms`);
  // Ends as soon as the result is wanted no more.
  await setTimeout(ms, undefined, { signal: currentInput()?.signal });
  return `waited ${ms} ms`;
});

/** Runs in a container and calls the other one from there. */
export const twice = app.function({}, async (ms: number) => {
  const parts: string[] = [];
  for await (const part of slow.map([ms, ms])) parts.push(part);
  return parts.join(", ");
});

app.localEntrypoint(async () => {
  console.log(await twice.remote(10));

  try {
    await slow.with({ deadlineMs: 2_000 }).remote(60_000);
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    console.log(`ended: ${error.code}`);
  }

  const keyed = slow.with({ idempotencyKey: `once-${process.pid}` });
  const [first, second] = [await keyed.spawn(20), await keyed.spawn(20)];
  console.log(`one call: ${first.callId === second.callId}`);

  const results = slow.map([5, -1], { returnExceptions: true });
  for await (const result of results) console.log(result);
});
