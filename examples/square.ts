/** A function that asks for a GPU, called once and then over a list. */
import { App } from "flotilla";

const app = new App("square");

export const square = app.function({ gpu: "H100" }, (x: number) => {
  if (x < 5) console.log(`squaring ${x}`);
  return x * x;
});

app.localEntrypoint(async () => {
  console.log(`7 squared is ${await square.remote(7)}`);
  for await (const result of square.map([1, 2, 3, 4])) console.log(`mapped: ${result}`);
});
