/**
 * A TypeScript app whose model is Python: typed here, run there.
 *
 *     flotilla run examples/python/next-word.ts
 */
import { App } from "flotilla";

const app = new App("next-word");

/** A method: its class is made once in each container. */
export const predict = app.function<[word: string], Record<string, number>>({
  runtime: "python",
  source: "model.py",
  handler: "Model.predict",
});

/** A generator: its words are read as they come. */
export const write = app.function<[word: string, count: number], Generator<string, string>>({
  runtime: "python",
  source: "model.py",
  handler: "Model.write",
});

/** TypeScript beside it. */
export const shout = app.function({}, (word: string) => `${word.toUpperCase()}!`);

app.localEntrypoint(async () => {
  for await (const next of predict.map(["the", "cat", "on"])) console.log(next);
  try {
    await predict.remote("dog");
  } catch (error) {
    console.log(String(error)); // ValueError: I have never read "dog"
  }
  for await (const word of write.remoteGen("the", 3)) process.stdout.write(`${word} `);
  console.log(); // the cat sat
  return shout.remote("done");
});
