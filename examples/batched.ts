/**
 * Calls of many callers that run together: the code is called once for up to four inputs, with a
 * list of them, and returns a list of results. For models that take a batch as fast as one input.
 *
 *     flotilla run examples/batched.ts
 */
import { App } from "flotilla";

const app = new App("batched");

/** An error in the list fails one input alone. */
export const squareRoot = app.function(
  { batched: { maxBatchSize: 4, waitMs: 500 }, maxContainers: 1 },
  (values: number[]) => {
    console.log(`a batch of ${values.length}`);
    return values.map((value) =>
      value < 0 ? new RangeError(`${value} has no square root`) : Math.sqrt(value),
    );
  },
);

app.localEntrypoint(async () => {
  for await (const root of squareRoot.map([1, 4, 9, 16, 25, 36, 49, 64])) console.log(root);
  await squareRoot.remote(-1).catch((error: unknown) => console.log(String(error)));
});
