/**
 * A generator: values are read as they are yielded, and reading no further ends it.
 *
 *     flotilla run examples/generator.ts
 */
import { setTimeout } from "node:timers/promises";
import { App } from "flotilla";

const app = new App("generator");

export const speak = app.function({}, async function* (text: string) {
  const words = text.split(" ");
  for (const word of words) {
    await setTimeout(100);
    yield word;
  }
  return words.length;
});

app.localEntrypoint(async () => {
  for await (const word of speak.remoteGen("words come one by one")) console.log(word);

  for await (const word of speak.remoteGen("nobody reads this to its end")) {
    console.log(word);
    if (word === "reads") break;
  }
});
