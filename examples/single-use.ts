/**
 * A container for each input: what one input changes is not there for the next. For code that is
 * not trusted to clean up after itself.
 *
 *     flotilla run examples/single-use.ts
 */
import { App } from "flotilla";

const app = new App("single-use");
let inputs = 0;

/** How many inputs its container has run, this one included. */
export const count = app.function({ singleUse: true }, () => {
  inputs += 1;
  return inputs;
});

app.localEntrypoint(async () => {
  for (let turn = 0; turn < 3; turn += 1) console.log(await count.remote());
});
