/**
 * A function that fails now and then: its failures are tried again, with growing pauses.
 *
 *     flotilla run examples/retries.ts
 */
import { App } from "flotilla";

const app = new App("retries");
let tries = 0;

export const unsteady = app.function(
  { retries: { count: 3, initialDelayMs: 200, backoff: 2 }, maxContainers: 1 },
  () => {
    tries += 1;
    if (tries < 3) throw new Error(`try ${tries} failed`);
    return `try ${tries} did it`;
  },
);

app.localEntrypoint(async () => {
  console.log(await unsteady.remote());
});
