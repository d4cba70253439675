/**
 * One container that runs several inputs at once: while one waits for the network or a timer,
 * another runs. For functions that mostly wait; what computes blocks the others.
 *
 *     flotilla run examples/concurrency.ts
 */
import { setTimeout } from "node:timers/promises";
import { App } from "flotilla";

const app = new App("concurrency");

/** A container takes up to 20 inputs at once; scaling aims at 16 in each. */
export const lookUp = app.function(
  { maxConcurrentInputs: 20, targetConcurrentInputs: 16 },
  async (word: string) => {
    await setTimeout(500);
    return `${word} has ${word.length} letters`;
  },
);

app.localEntrypoint(async () => {
  const words = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
  for await (const answer of lookUp.map(words)) console.log(answer);
});
