/**
 * A search for the settings with the least value: successive halving over rungs, each of which
 * judges more exactly and costs more, with proposals learnt from what was seen (`proposals.ts`).
 *
 *     bracket:  n candidates on rung 0 ─► the best n/3 on rung 1 ─► the best n/9 on rung 2 …
 *
 * Candidates of a bracket are proposed from what all brackets up to the last but one have shown,
 * so that two brackets are under way at a time and many can be judged at once without a wait for
 * the slowest. Observations of the deepest rung that has enough of them are learnt from.
 *
 * What is proposed and what is found follow from the seed and the values alone, in whatever order
 * the values come back.
 *
 * Source: successive halving (Jamieson and Talwalkar, AISTATS 2016), joined with learning from
 * the deepest rung that has enough observations as in BOHB (Falkner et al., ICML 2018).
 */
import { assert, createRng, PlatformError, type Rng } from "../../core/index.ts";
import { settingAt, type Domain, type Setting } from "./domain.ts";
import { evenPoint, isEnough, Proposals } from "./proposals.ts";
import type { Observation, Point } from "./surrogate.ts";

/** Of a rung's candidates one in so many goes on to the next. */
export const REDUCTION = 3;

export interface SearchOptions {
  readonly seed: number;
  readonly domains: readonly Domain[];
  readonly rungCount: number;
  /** Candidates of each bracket on its first rung, each >= 1. */
  readonly brackets: readonly number[];
  /** Whether settings make sense together; absent means that all do. */
  readonly isAllowed?: (settings: readonly Setting[]) => boolean;
}

/** One thing to be judged. */
export interface Trial {
  /** Counts from 1 over the whole search. */
  readonly candidate: number;
  /** From 0, the cheapest. */
  readonly rung: number;
  /** One for each domain, in order. */
  readonly settings: readonly Setting[];
}

export interface Judged extends Trial {
  /** On its deepest rung; smaller is better. */
  readonly value: number;
}

interface Candidate {
  readonly id: number;
  readonly point: Point;
  readonly settings: readonly Setting[];
  /** By rung. */
  readonly values: number[];
}

interface Bracket {
  readonly candidates: readonly Candidate[];
  rung: number;
  /** Those on its present rung. */
  going: readonly Candidate[];
  isDone: boolean;
}

/** Draws for one candidate: so many for new settings, for learnt ones, and for any at all. */
const TRIES = { new: 100, learnt: 500, all: 1_000 } as const;

export class Search {
  readonly #options: SearchOptions;
  readonly #rng: Rng;
  readonly #shift: Point;
  readonly #brackets: Bracket[] = [];
  readonly #candidates = new Map<number, Candidate>();
  /** Settings that were proposed before. */
  readonly #known = new Set<string>();
  /** Those handed out, by candidate and rung. */
  readonly #asked = new Set<string>();

  constructor(options: SearchOptions) {
    assert(options.rungCount >= 1, "a search has at least one rung");
    assert(
      options.brackets.every((size) => size >= 1),
      "a bracket has at least one candidate",
    );
    this.#options = options;
    this.#rng = createRng(options.seed).fork("search");
    const shift = this.#rng.fork("shift");
    this.#shift = options.domains.map(() => shift.next());
    this.#open();
  }

  get isDone(): boolean {
    const { brackets } = this.#options;
    return this.#brackets.length === brackets.length && this.#brackets.every((one) => one.isDone);
  }

  /** What can be judged now and was not handed out yet, the deepest rungs first. */
  ask(): readonly Trial[] {
    const open = this.#brackets
      .flatMap(({ going, rung, isDone }) =>
        isDone ? [] : going.map(({ id, settings }): Trial => ({ candidate: id, rung, settings })),
      )
      .filter((trial) => !this.#asked.has(keyOf(trial)))
      .sort((left, right) => right.rung - left.rung || left.candidate - right.candidate);
    for (const trial of open) this.#asked.add(keyOf(trial));
    return open;
  }

  /** The value of a trial that was asked for. @param value Smaller is better. */
  tell({ candidate: id, rung }: Pick<Trial, "candidate" | "rung">, value: number): void {
    const candidate = this.#candidates.get(id);
    assert(candidate !== undefined, `no candidate ${id} was asked for`);
    assert(
      candidate.values[rung] === undefined,
      `candidate ${id} was judged on rung ${rung} before`,
    );
    candidate.values[rung] = Number.isNaN(value) ? Infinity : value;
    for (const bracket of this.#brackets) this.#advance(bracket);
    this.#open();
  }

  /** All candidates so far on their deepest rungs: deep ones first, and of a rung the best. */
  ranking(): readonly Judged[] {
    return [...this.#candidates.values()]
      .flatMap(({ id, settings, values }): readonly Judged[] => {
        const rung = values.length - 1;
        const value = values[rung];
        return value === undefined ? [] : [{ candidate: id, rung, settings, value }];
      })
      .sort(
        (left, right) =>
          right.rung - left.rung || left.value - right.value || left.candidate - right.candidate,
      );
  }

  #advance(bracket: Bracket): void {
    const { rung, going } = bracket;
    if (bracket.isDone || going.some(({ values }) => values[rung] === undefined)) return;
    if (rung + 1 === this.#options.rungCount) {
      bracket.isDone = true;
      return;
    }
    const left = going.toSorted(
      (one, other) => valueOn(one, rung) - valueOn(other, rung) || one.id - other.id,
    );
    bracket.going = left.slice(0, Math.max(1, Math.round(going.length / REDUCTION)));
    bracket.rung += 1;
  }

  /** Opens brackets while all but the last one before are done. */
  #open(): void {
    const { brackets } = this.#options;
    for (;;) {
      const index = this.#brackets.length;
      const size = brackets[index];
      const known = this.#brackets.slice(0, Math.max(0, index - 1));
      if (size === undefined || known.some(({ isDone }) => !isDone)) return;
      const { domains } = this.#options;
      const seen = this.#observations(known);
      const proposals = new Proposals({ domains, seen, shift: this.#shift });
      const candidates: Candidate[] = [];
      for (let at = 0; at < size; at += 1) {
        const id = this.#candidates.size + 1;
        const candidate = this.#propose(id, proposals);
        this.#candidates.set(id, candidate);
        candidates.push(candidate);
      }
      this.#brackets.push({ candidates, going: candidates, rung: 0, isDone: false });
    }
  }

  /** Of the deepest rung on which enough candidates were judged. */
  #observations(known: readonly Bracket[]): readonly Observation[] {
    const { rungCount, domains } = this.#options;
    let seen: readonly Observation[] = [];
    for (let rung = rungCount - 1; rung >= 0; rung -= 1) {
      if (isEnough(seen.length, domains.length)) break;
      seen = known.flatMap(({ candidates }) =>
        candidates.flatMap(({ point, values }) => {
          const value = values[rung];
          return value === undefined ? [] : [{ point, value }];
        }),
      );
    }
    return seen;
  }

  #propose(id: number, proposals: Proposals): Candidate {
    const { domains, isAllowed = () => true } = this.#options;
    const rng = this.#rng.fork(`candidate ${id}`);
    for (let tried = 0; tried < TRIES.all; tried += 1) {
      const index = id - 1 + tried * TRIES.all;
      const point =
        tried < TRIES.learnt ? proposals.next(index, rng) : evenPoint(index, this.#shift);
      const settings = domains.map((domain, at) => settingAt(domain, point[at] ?? 0));
      const isKnown = this.#known.has(JSON.stringify(settings));
      if ((isKnown && tried < TRIES.new) || !isAllowed(settings)) continue;
      this.#known.add(JSON.stringify(settings));
      return { id, point, settings, values: [] };
    }
    throw new PlatformError(
      `none of ${TRIES.all} settings drawn from the ranges makes a policy without contradictions: ` +
        "choose ranges that agree with each other and with the policy",
      { code: "invalid_request", retryable: false },
    );
  }
}

function keyOf({ candidate, rung }: Pick<Trial, "candidate" | "rung">): string {
  return `${candidate}/${rung}`;
}

function valueOn({ values }: Candidate, rung: number): number {
  return values[rung] ?? Infinity;
}
