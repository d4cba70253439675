/**
 * Work that goes on without its caller: `spawn` gives a call whose id finds it again, from any
 * process and for 7 days.
 *
 *     flotilla run examples/spawn.ts
 */
import { setTimeout } from "node:timers/promises";
import { App, FunctionCall, TimeoutError } from "flotilla";

const app = new App("spawn");

export const render = app.function({ timeoutMs: 60_000 }, async (frames: number) => {
  for (let frame = 1; frame <= frames; frame += 1) {
    await setTimeout(200);
    console.log(`frame ${frame} of ${frames}`);
  }
  return `${frames} frames`;
});

app.localEntrypoint(async () => {
  const call = await render.spawn(5);

  // This could be another program, tomorrow, that was given the id.
  const found = FunctionCall.fromId<string>(call.callId);
  try {
    await found.get({ timeoutMs: 1 });
  } catch (error) {
    if (!(error instanceof TimeoutError)) throw error;
    console.log("not yet");
  }
  console.log(await found.get());
});
