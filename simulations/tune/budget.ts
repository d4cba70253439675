/** How many candidates a number of flights is enough for. */
import { PlatformError } from "../../core/index.ts";
import { REDUCTION } from "./search.ts";
import type { SearchWindows, Stretch } from "./windows.ts";

export interface Budget {
  /** Flights of the whole search, those of the base policy and of the judgement included. */
  readonly runs: number;
  readonly rungCount: number;
  /** Seeds of the last rung, and of the held-out stretch; the other rungs fly one. */
  readonly seedCount: number;
}

export interface SearchSize {
  /** Candidates of each bracket. */
  readonly brackets: readonly number[];
  /** How many candidates are judged on the held-out stretch, at most. */
  readonly finalistCount: number;
  /** Flights that the search makes, at most; never more than the budget. */
  readonly runs: number;
}

const FINALISTS_MAX = 6;
/** Share of the budget that judging takes, at most. */
const FINALISTS_FRACTION = 0.2;
/** So many brackets are aimed at: each learns from those before. */
const BRACKETS_AIM = 12;
/** Candidates of a bracket where there is one rung. */
const FLAT_SIZE = 4;

/**
 * The brackets that a budget is enough for.
 *
 * @throws PlatformError `invalid_request` when it is not enough for one candidate.
 */
export function sizeOfSearch({ runs, rungCount, seedCount }: Budget): SearchSize {
  const least = 3 * seedCount + runsOfBracket(1, rungCount, seedCount);
  if (runs < least) {
    const problem =
      `${runs} flights are not enough: the base policy and the chosen one, with ${seedCount} ` +
      `seeds on both stretches, take ${least} at least; allow more or take fewer seeds`;
    throw new PlatformError(problem, { code: "invalid_request", retryable: false });
  }
  const share = Math.floor((FINALISTS_FRACTION * runs) / seedCount);
  const finalistCount = Math.min(FINALISTS_MAX, Math.max(1, share));
  const judging = (2 + finalistCount) * seedCount;
  const brackets: number[] = [];
  let left = runs - judging;
  const size = bracketSize(left, rungCount, seedCount);
  for (;;) {
    const next = largestWithin(left, size, rungCount, seedCount);
    if (next === 0) break;
    brackets.push(next);
    left -= runsOfBracket(next, rungCount, seedCount);
  }
  return { brackets, finalistCount, runs: runs - left };
}

/** Flights of a bracket of so many candidates. */
export function runsOfBracket(size: number, rungCount: number, seedCount: number): number {
  let runs = 0;
  let going = size;
  for (let rung = 0; rung < rungCount; rung += 1) {
    runs += going * (rung === rungCount - 1 ? seedCount : 1);
    going = Math.max(1, Math.round(going / REDUCTION));
  }
  return runs;
}

/** Virtual time of all flights of a search, at most. */
export function flightMsOf(size: SearchSize, windows: SearchWindows): number {
  const { rungs, train, heldOut } = windows;
  const lengthOf = ({ span, seeds }: Stretch): number =>
    (span.untilMs - span.fromMs) * seeds.length;
  let sumMs = lengthOf(train) + lengthOf(heldOut);
  let finishing = 0;
  for (const bracket of size.brackets) {
    let going = bracket;
    for (const [at, rung] of rungs.entries()) {
      if (at > 0) going = Math.max(1, Math.round(going / REDUCTION));
      sumMs += going * lengthOf(rung);
    }
    finishing += going;
  }
  sumMs += Math.min(finishing, size.finalistCount) * lengthOf(heldOut);
  return sumMs;
}

function bracketSize(runs: number, rungCount: number, seedCount: number): number {
  const unit = rungCount === 1 ? FLAT_SIZE : REDUCTION ** (rungCount - 1);
  const count = runs / runsOfBracket(unit, rungCount, seedCount) / BRACKETS_AIM;
  return unit * Math.max(1, Math.round(count));
}

function largestWithin(runs: number, size: number, rungCount: number, seedCount: number): number {
  let fitting = size;
  while (fitting > 0 && runsOfBracket(fitting, rungCount, seedCount) > runs) fitting -= 1;
  return fitting;
}
