/**
 * One function over many inputs: in order, as they finish, with several arguments, for its effect.
 *
 *     flotilla run examples/map.ts
 */
import { App } from "flotilla";

const app = new App("map");

export const wordCount = app.function({ maxContainers: 4 }, (text: string) => {
  if (text === "") throw new RangeError("there is nothing to count");
  return text.split(/\s+/).length;
});

export const power = app.function({}, (base: number, exponent: number) => base ** exponent);

export const note = app.function({}, (line: string) => console.log(`noted: ${line}`));

app.localEntrypoint(async () => {
  const lines = ["to be", "or not to be", "that is the question"];
  for await (const count of wordCount.map(lines)) console.log(count);

  // As they finish, which here may be any order; the sum is the same.
  let sum = 0;
  for await (const count of wordCount.map(lines, { ordered: false })) sum += count;
  console.log(`${sum} words`);

  // Items may come from any iterable, also an endless one: they are sent as results are read.
  for await (const result of power.starmap(numbers())) {
    console.log(result);
    if (result >= 64) break;
  }

  // An error of one item takes its place; without this the first one ends the map.
  for await (const result of wordCount.map(["one two", ""], { returnExceptions: true })) {
    console.log(result instanceof Error ? `${result.name}: ${result.message}` : result);
  }

  await note.forEach(["kept"]);
});

function* numbers(): Generator<[number, number]> {
  for (let exponent = 1; ; exponent += 1) yield [2, exponent];
}
