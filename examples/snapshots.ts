/**
 * A function whose containers start from memory.
 *
 *     flotilla run examples/snapshots.ts
 *
 * The table is computed while the module loads. The first container does that; later ones are
 * restored from its memory and have it at once. See docs/snapshots.md for what code may do while
 * it loads.
 */
import { App } from "flotilla";

const app = new App("snapshots");

const loadedAtMs = Date.now();
const PRIMES_BELOW = 2_000_000;
const primes = sieve(PRIMES_BELOW);

export const primeAt = app.function({ enableMemorySnapshot: true }, (position: number) => ({
  prime: primes[position],
  /** Small in a container that loaded itself, large in one that was restored. */
  loadedSecondsAgo: Math.round((Date.now() - loadedAtMs) / 1_000),
  /** Different in each container, though it is the first that each draws. */
  drawn: Math.random(),
}));

app.localEntrypoint(async () => {
  for (const position of [10, 1_000, 100_000]) {
    console.log(position, await primeAt.remote(position));
  }
});

function sieve(below: number): readonly number[] {
  const isComposite = new Uint8Array(below);
  const found: number[] = [];
  for (let candidate = 2; candidate < below; candidate += 1) {
    if (isComposite[candidate] === 1) continue;
    found.push(candidate);
    for (let multiple = candidate * candidate; multiple < below; multiple += candidate) {
      isComposite[multiple] = 1;
    }
  }
  return found;
}
