/**
 * Makes a candidate cheaper: by many small changes (ruin-recreate.ts) until they find no more, and
 * then by large neighbourhood search, which rearranges one part after another exactly.
 *
 * Where the candidate loses most against the relaxation (relaxation/losses.ts), the groups around
 * (neighbourhood.ts) are freed and solved as a program with whole containers (part.ts), from the
 * candidate as it is. The answer is laid out on real nodes; packings that turn out impossible
 * become loads that later parts obey, and the part is solved again. What is cheaper is kept, so a
 * candidate never gets worse, and the best so far is always at hand.
 *
 * Equal inputs give equal answers: solvers stop at a number of branches, and only the limit of
 * time, when it strikes, is not the same in every run.
 */
import { createRng, type Rng } from "../../core/index.ts";
import { cheaperOf, costOf, type Candidate } from "../candidate.ts";
import { fillDraft } from "../complete-draft.ts";
import type { PackingCut } from "../formulate.ts";
import { layOut } from "../lay-out.ts";
import { fixedUsdOf } from "../problem.ts";
import { lossesOf, type Losses } from "../relaxation/losses.ts";
import { loadsOf, type Load } from "../relaxation/loads.ts";
import type { Relaxation } from "../relaxation/relax.ts";
import type { RestrictedModel } from "../relaxation/restricted-model.ts";
import { askPart, goneMs, type Session, type TimeShare } from "../session.ts";
import { neighbourhoodOf, seedsOf, type Seed } from "./neighbourhood.ts";
import { OpenFleet } from "./open-fleet.ts";
import { holdingsOf, partOf, type Keeping } from "./part.ts";
import { ruinAndRecreate } from "./ruin-recreate.ts";
import { worthOf } from "./worth.ts";

/** Columns of containers in a part around a new seed; twice as many each time it is tried again. */
const COLUMN_COUNT_MIN = 80;
const ROUND_COUNT_MAX = 4_000;
/** A seed is tried so often without success, each time with other groups. */
const TRIES_MAX = 4;
/** Solves of one part: the first, and again after cuts. */
const SOLVES_PER_PART = 3;
/** An improvement below this share of the cost is rounding. */
const BETTER_FRACTION = 1e-7;

/** More nodes than this are not taken apart one by one. */
const NODE_COUNT_MAX = 20_000;

export interface ImproveOptions {
  readonly share: TimeShare;
  /** Stop once the cost is this close to the bound, as a share of it. */
  readonly gapFraction: number;
  /** Spare the exact search if small changes alone came this close; absent means `gapFraction`. */
  readonly enoughFraction?: number;
  /** Whether the present nodes must stay, and whether there may be others. */
  readonly keeping?: Keeping;
}

/** A candidate that costs no more, and less where the search finds it in time. */
export async function improve(
  session: Session,
  model: RestrictedModel,
  { solution, boundUsd }: Relaxation,
  first: Candidate,
  options: ImproveOptions,
): Promise<Candidate> {
  const { problem } = session;
  const start = changed(session, model, { solution, boundUsd }, first, options);
  const search = new Search(session, model, start, options);
  const gapFraction = Math.max(options.gapFraction, options.enoughFraction ?? 0);
  const rng = createRng("improve");
  const tries = new Map<string, number>();
  for (let round = 0; round < ROUND_COUNT_MAX; round += 1) {
    const usd = search.usd - fixedUsdOf(problem);
    if (usd - boundUsd <= gapFraction * usd || !search.hasTime()) break;
    const losses = lossesOf(model, solution, search.best);
    const seed = nextSeed(losses, tries);
    if (!seed) break;
    const tried = tries.get(keyOf(seed)) ?? 0;
    const columnCountMax = COLUMN_COUNT_MIN * 2 ** tried;
    const isBetter = await search.rearrange({
      seed,
      losses,
      columnCountMax,
      rng: rng.fork(`${keyOf(seed)}/${tried}`),
    });
    tries.set(keyOf(seed), tried + (isBetter ? 0 : 1));
  }
  return search.best;
}

/** After small changes. */
function changed(
  session: Session,
  model: RestrictedModel,
  { solution, boundUsd }: Relaxation,
  first: Candidate,
  options: ImproveOptions,
): Candidate {
  const { problem } = session;
  if (first.counts.reduce((sum, count) => sum + count, 0) > NODE_COUNT_MAX) return first;
  const fleet = new OpenFleet(problem, worthOf(model, solution), first, costOf(problem, first));
  const isOver = (): boolean => {
    const usd = fleet.usd - fixedUsdOf(problem);
    return usd - boundUsd <= options.gapFraction * usd || !hasTime(session, options.share);
  };
  ruinAndRecreate(fleet, { rng: createRng("ruin"), isOver, keeping: options.keeping });
  return cheaperOf(problem, first, fleet.candidate());
}

function hasTime(session: Session, { until }: TimeShare): boolean {
  return goneMs(session) < until * session.problem.input.policy.solveTimeLimitMs;
}

function keyOf({ kind, index }: Seed): string {
  return `${kind}/${index}`;
}

/** The seed that loses most, those that were tried without success later. */
function nextSeed(losses: Losses, tries: ReadonlyMap<string, number>): Seed | undefined {
  let best: Seed | undefined;
  let bestScore = 0;
  for (const seed of seedsOf(losses)) {
    const tried = tries.get(keyOf(seed)) ?? 0;
    const score = tried >= TRIES_MAX ? 0 : seed.usd / (1 + tried) ** 2;
    if (score > bestScore) [best, bestScore] = [seed, score];
  }
  return best;
}

interface Around {
  readonly seed: Seed;
  readonly losses: Losses;
  readonly columnCountMax: number;
  readonly rng: Rng;
}

class Search {
  readonly #session: Session;
  readonly #model: RestrictedModel;
  readonly #options: ImproveOptions;
  readonly #loads = new Map<number, Load[]>();
  readonly #active: readonly (ReadonlySet<number> | undefined)[];
  #best: Candidate;
  #usd: number;

  constructor(session: Session, model: RestrictedModel, first: Candidate, options: ImproveOptions) {
    this.#session = session;
    this.#model = model;
    this.#options = options;
    this.#best = first;
    this.#usd = costOf(session.problem, first);
    this.#active = placesIn(model);
  }

  get best(): Candidate {
    return this.#best;
  }

  /** What the best one costs, USD/h. */
  get usd(): number {
    return this.#usd;
  }

  hasTime(): boolean {
    return hasTime(this.#session, this.#options.share);
  }

  /** Solves the part around a seed; gives whether that made the candidate cheaper. */
  async rearrange(around: Around): Promise<boolean> {
    const { seed, losses, columnCountMax, rng } = around;
    const { problem } = this.#session;
    const held = holdingsOf(problem, this.#best);
    const mayHold = (group: number, position: number): boolean =>
      this.#active[group]?.has(position) === true;
    const activeGroups = this.#model.activeGroups.keys();
    const options = { problem, losses, held, mayHold, columnCountMax, rng, activeGroups };
    const groupIndexes = neighbourhoodOf(seed, options);
    if (groupIndexes.length === 0) return false;
    let isBetter = false;
    for (let solve = 0; solve < SOLVES_PER_PART && this.hasTime(); solve += 1) {
      const found = await this.#solve(groupIndexes, mayHold);
      if (!found) break;
      isBetter = this.#accept(found.candidate) || isBetter;
      if (found.cuts.length === 0) break;
      for (const cut of found.cuts) this.#addCut(cut);
    }
    return isBetter;
  }

  async #solve(
    groupIndexes: readonly number[],
    mayHold: (groupIndex: number, position: number) => boolean,
  ): Promise<{ readonly candidate: Candidate; readonly cuts: readonly PackingCut[] } | undefined> {
    const { problem } = this.#session;
    const candidate = this.#best;
    const held = holdingsOf(problem, candidate);
    const loads = (groupIndex: number): readonly Load[] => this.#loadsOf(groupIndex);
    const { keeping } = this.#options;
    const part = partOf({
      problem,
      candidate,
      groupIndexes,
      held,
      mayHold,
      loadsOf: loads,
      ...(keeping ? { keeping } : {}),
    });
    const answer = await askPart(this.#session, part.model, part.start, this.#options.share);
    if (!answer) return undefined;
    const assignment = part.read(answer.values);
    const { draft, cuts } = await layOut(
      problem,
      assignment,
      async (question) =>
        (await askPart(this.#session, question, undefined, this.#options.share))?.values,
    );
    const inside = new Set(groupIndexes);
    const stacks = candidate.stacks.map((scenario, index) => [
      ...scenario.filter(
        ({ offerIndex }) => !inside.has(problem.offers[offerIndex]?.groupIndex ?? -1),
      ),
      ...(draft.stacks?.[index] ?? []),
    ]);
    const classes = new Set(part.classIndexes);
    return { candidate: fillDraft(problem, { counts: draft.counts, stacks }, classes), cuts };
  }

  #accept(candidate: Candidate): boolean {
    const usd = costOf(this.#session.problem, candidate);
    if (usd >= this.#usd - BETTER_FRACTION * Math.abs(this.#usd)) return false;
    this.#best = candidate;
    this.#usd = usd;
    return true;
  }

  #loadsOf(groupIndex: number): readonly Load[] {
    const known = this.#loads.get(groupIndex);
    if (known) return known;
    const { problem } = this.#session;
    const group = problem.groups[groupIndex];
    const active = this.#model.activeGroups.get(groupIndex);
    const used = new Set(active?.loadRows.flatMap((rows) => rows.map(({ load }) => load)));
    const loads = active
      ? active.loads.filter((_, index) => used.has(index))
      : group
        ? [...loadsOf(problem, group)]
        : [];
    this.#loads.set(groupIndex, loads);
    return loads;
  }

  #addCut({ groupIndex, weights }: PackingCut): void {
    const group = this.#session.problem.groups[groupIndex];
    if (!group) return;
    const load = Float64Array.from(group.classIndexes, (index) => weights.get(index) ?? 0);
    this.#loads.set(groupIndex, [...this.#loadsOf(groupIndex), load]);
  }
}

/** By group: positions of the classes that the relaxation found worth a try there. */
function placesIn(model: RestrictedModel): readonly (ReadonlySet<number> | undefined)[] {
  return [...model.problem.groups.keys()].map((groupIndex) => {
    const active = model.activeGroups.get(groupIndex);
    if (!active) return undefined;
    const positions = new Set<number>();
    for (const columns of active.pairColumns) {
      for (const [position, column] of columns.entries()) if (column >= 0) positions.add(position);
    }
    return positions;
  });
}
