/**
 * Functions that call functions: a container calls others as any program does, and cancelling the
 * outer call ends the inner ones.
 *
 *     flotilla run examples/nested.ts
 */
import { App } from "flotilla";

const app = new App("nested");

export const isPrime = app.function({ maxConcurrentInputs: 8 }, (candidate: number) => {
  for (let divisor = 2; divisor ** 2 <= candidate; divisor += 1) {
    if (candidate % divisor === 0) return false;
  }
  return candidate > 1;
});

export const primesBelow = app.function({}, async (limit: number) => {
  const candidates = Array.from({ length: limit }, (_, index) => index);
  const primes: number[] = [];
  let candidate = 0;
  for await (const is of isPrime.map(candidates)) {
    if (is) primes.push(candidate);
    candidate += 1;
  }
  return primes;
});

app.localEntrypoint(async () => {
  console.log((await primesBelow.remote(30)).join(" "));
});
