/** Which seed catches which mistake: the proof that the checkers see. */
import { flyAll } from "./fly.ts";
import { MUTANTS } from "./mutants.ts";
import type { Task } from "./worlds.ts";

/** Seeds within which every mistake must be caught. */
export const HUNT_SEEDS = 200;

/** How one mistake was found. */
export interface Catch {
  readonly mutant: string;
  /** The smallest seed that was flown and found it; undefined when none did. */
  readonly seed: number | undefined;
  /** How the promise that it breaks was found broken. */
  readonly finding: string | undefined;
}

/**
 * Flies every mistake until a seed catches it, at most `seeds` of them.
 *
 * Cost: one run of the world `platform` for each seed tried, about half a second.
 */
export async function huntMutants(
  seeds: number,
  jobs: number,
  onCatch: (one: Catch) => void = () => undefined,
): Promise<readonly Catch[]> {
  const caught = new Map<string, Catch>();
  function* tasks(): Generator<Task, undefined> {
    for (const { name: mutant } of MUTANTS) {
      for (let seed = 1; seed <= seeds && !caught.has(mutant); seed += 1) {
        yield { world: "platform", seed, mutant };
      }
    }
    return undefined;
  }
  await flyAll(
    tasks(),
    ({ mutant = "", seed }, { findings }) => {
      const promise = MUTANTS.find(({ name }) => name === mutant)?.breaks ?? "";
      const finding = findings.find((text) => text.startsWith(promise));
      const isFirst = seed < (caught.get(mutant)?.seed ?? Infinity);
      if (finding === undefined || !isFirst) return "go-on";
      const found = { mutant, seed, finding };
      caught.set(mutant, found);
      onCatch(found);
      return "go-on";
    },
    jobs,
  );
  return MUTANTS.map(({ name: mutant }) => {
    return caught.get(mutant) ?? { mutant, seed: undefined, finding: undefined };
  });
}
