/**
 * Ending work early: an AbortSignal of the caller reaches the code in the container, which has a
 * few seconds to leave things in order before it is stopped.
 *
 *     flotilla run examples/cancel.ts
 */
import { setTimeout } from "node:timers/promises";
import { App, currentInput } from "flotilla";

const app = new App("cancel");

export const search = app.function({}, async (from: number) => {
  const signal = currentInput()?.signal;
  console.log(`searching from ${from}`);
  try {
    for (let candidate = from; ; candidate += 1)
      await setTimeout(50, undefined, signal && { signal });
  } finally {
    console.log("stopped where it was");
  }
});

app.localEntrypoint(async () => {
  const ending = new AbortController();
  const searching = search.with({ signal: ending.signal }).remote(1_000);
  await setTimeout(3_000);
  ending.abort(new Error("found elsewhere"));
  try {
    await searching;
  } catch (error) {
    console.log(String(error));
  }
});
