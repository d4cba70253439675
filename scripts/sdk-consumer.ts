/** A program of a user: type-checked against the packed SDK, never run. */
import { App } from "flotilla";

const app = new App("consumer");

/** What the types must carry from the function to its callers. */
export const measure = app.function(
  { gpu: ["H100", "A100-80GB"], memoryMiB: 512 },
  (word: string) => ({
    word,
    length: word.length,
  }),
);

/** Uses every way to call. @returns total length. */
export async function main(): Promise<number> {
  const one = await measure.remote("one");
  const spawned = await measure.spawn("two");
  const two = await spawned.get({ timeoutMs: 1_000 });
  let total = one.length + two.length + measure.local("three").length;
  for await (const { length } of measure.map(["four", "five"], { ordered: false })) total += length;
  // @ts-expect-error A number is no word.
  await measure.remote(1);
  // @ts-expect-error There is no such GPU.
  app.function({ gpu: "H10O" }, () => 1);
  return total;
}
