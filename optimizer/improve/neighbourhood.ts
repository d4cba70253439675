/**
 * Which groups to rearrange together: around a seed that loses, those that could trade with it.
 *
 * Two groups can trade when a class may use both. Starting from the groups that could serve a
 * class, or from one group, the group with the most in common with those chosen, weighted by what
 * it loses itself, comes next, until the part is as large as a solver answers at once.
 */
import type { Rng } from "../../core/index.ts";
import type { Problem } from "../problem.ts";
import type { Losses } from "../relaxation/losses.ts";
import type { Holdings } from "./part.ts";

/** Where to start. */
export type Seed =
  | { readonly kind: "class"; readonly index: number; readonly usd: number }
  | { readonly kind: "group"; readonly index: number; readonly usd: number };

export interface NeighbourhoodOptions {
  readonly problem: Problem;
  readonly losses: Losses;
  readonly held: Holdings;
  /** Whether a class is worth a try on a group. */
  readonly mayHold: (groupIndex: number, position: number) => boolean;
  /** Containers of a class, on a group, in a scenario: columns at most. */
  readonly columnCountMax: number;
  /** Groups that the relaxation looked at. */
  readonly activeGroups: Iterable<number>;
  /** Spreads what is chosen when one seed is tried again. */
  readonly rng: Rng;
}

/** Losses below this share of all of them start nothing. */
const SEED_FRACTION = 5e-4;

/** Where losses are, the largest first. */
export function seedsOf({ groups, classes }: Losses): readonly Seed[] {
  const seeds: Seed[] = [
    ...Array.from(groups, (usd, index) => ({ kind: "group", index, usd }) as const),
    ...Array.from(classes, (usd, index) => ({ kind: "class", index, usd }) as const),
  ];
  const sum = seeds.reduce((total, { usd }) => total + Math.max(0, usd), 0);
  return seeds
    .filter(({ usd }) => usd > SEED_FRACTION * sum)
    .sort((a, b) => b.usd - a.usd || (a.kind < b.kind ? -1 : 1) || a.index - b.index);
}

/** The groups around a seed, ascending. */
export function neighbourhoodOf(seed: Seed, options: NeighbourhoodOptions): readonly number[] {
  const growing = new Neighbourhood(options);
  if (seed.kind === "class") growing.reach(seed.index);
  else growing.choose(seed.index);
  while (growing.columnCount < options.columnCountMax) {
    const next = growing.mostAlike();
    if (next !== undefined) growing.choose(next);
    // Rules about all GPUs join groups that have no class in common.
    else if (!growing.reachAnother() && !growing.chooseAnother()) break;
  }
  return growing.groupIndexes();
}

class Neighbourhood {
  readonly #options: NeighbourhoodOptions;
  readonly #chosen = new Set<number>();
  readonly #affinity = new Map<number, number>();
  readonly #reached = new Set<number>();
  /** What even a group without losses counts as. */
  readonly #leastUsd: number;
  columnCount = 0;

  constructor(options: NeighbourhoodOptions) {
    this.#options = options;
    const losing = options.losses.groups.filter((usd) => usd > 0);
    const sum = losing.reduce((total, usd) => total + usd, 0);
    this.#leastUsd = losing.length > 0 ? (LEAST_OF_MEAN * sum) / losing.length : 1;
  }

  groupIndexes(): readonly number[] {
    return [...this.#chosen].sort((a, b) => a - b);
  }

  /** Lets a class draw the groups closer that it may use. */
  reach(classIndex: number): void {
    if (this.#reached.has(classIndex)) return;
    this.#reached.add(classIndex);
    const { problem, mayHold } = this.#options;
    const places = (problem.classes[classIndex]?.places ?? []).filter(({ groupIndex, position }) =>
      mayHold(groupIndex, position),
    );
    for (const { groupIndex } of places) {
      const before = this.#affinity.get(groupIndex) ?? 0;
      this.#affinity.set(groupIndex, before + 1 / places.length);
    }
  }

  /** Reaches the class that loses most of those not reached; false when all are. */
  reachAnother(): boolean {
    const { classes } = this.#options.losses;
    let most = -1;
    for (const [classIndex, usd] of classes.entries()) {
      if (this.#reached.has(classIndex)) continue;
      if (most < 0 || usd > (classes[most] ?? 0)) most = classIndex;
    }
    if (most >= 0) this.reach(most);
    return most >= 0;
  }

  /** Chooses a group that no class leads to, such as idle nodes for a share; false: none is left. */
  chooseAnother(): boolean {
    for (const groupIndex of this.#options.activeGroups) {
      if (this.#chosen.has(groupIndex)) continue;
      this.choose(groupIndex);
      return true;
    }
    return false;
  }

  choose(groupIndex: number): void {
    this.#chosen.add(groupIndex);
    this.columnCount += columnsOf(this.#options, groupIndex);
    for (const scenario of this.#options.held) {
      for (const classIndex of scenario[groupIndex]?.keys() ?? []) this.reach(classIndex);
    }
  }

  /** The group with most in common with those chosen, weighted by what it loses. */
  mostAlike(): number | undefined {
    const { losses, rng } = this.#options;
    let best: number | undefined;
    let bestScore = -Infinity;
    for (const [groupIndex, shared] of this.#affinity) {
      if (this.#chosen.has(groupIndex)) continue;
      const usd = Math.max(0, losses.groups[groupIndex] ?? 0) + this.#leastUsd;
      const score = shared * usd * (0.5 + rng.next());
      if (score > bestScore) [best, bestScore] = [groupIndex, score];
    }
    return best;
  }
}

/** Share of the mean loss that a group without losses counts as. */
const LEAST_OF_MEAN = 0.2;

/** About how many columns a group brings. */
function columnsOf({ problem, held, mayHold }: NeighbourhoodOptions, groupIndex: number): number {
  const group = problem.groups[groupIndex];
  if (!group) return 0;
  let classes = 0;
  for (const [position, classIndex] of group.classIndexes.entries()) {
    if (mayHold(groupIndex, position) || held.some((s) => s[groupIndex]?.has(classIndex))) {
      classes += 1;
    }
  }
  return group.offerIndexes.length + classes * problem.probabilities.length;
}
