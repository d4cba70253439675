/** Candidates as the page of cost against waiting shows them. */
import { microUsdFromUsd } from "../../core/index.ts";
import { paretoFront, type ParetoStudy, type ParetoValue } from "../report/pareto.ts";
import type { Figures } from "./figures.ts";
import { verdictOf, type TunedCandidate, type TuneOutcome } from "./outcome.ts";
import type { Settings } from "./params.ts";
import type { SearchWindows } from "./windows.ts";

/** The candidates that no other beats in both cost and waiting, in training. */
export function frontOf<Candidate extends Pick<TunedCandidate, "id" | "train">>(
  candidates: readonly Candidate[],
): readonly Candidate[] {
  const known = new Map(candidates.map((one) => [nameOf(one.id), one]));
  const named = candidates.map(({ id, train }) => ({
    name: nameOf(id),
    settings: {},
    train: valueOf(train.flights),
  }));
  return paretoFront(named).flatMap(({ name }) => known.get(name) ?? []);
}

export interface StudyOptions {
  readonly world: string;
  readonly commit?: string;
  readonly objective: string;
  readonly windows: SearchWindows;
}

export function studyOf(outcome: TuneOutcome, options: StudyOptions): ParetoStudy {
  const { world, commit, objective, windows } = options;
  const { base, best, candidates, givenUpCount } = outcome;
  return {
    world,
    seeds: windows.train.seeds,
    heldOutSeeds: windows.heldOut.seeds,
    ...(commit === undefined ? {} : { commit }),
    objective,
    candidates: [base, ...candidates].map(({ id, settings, train, heldOut }) => ({
      name: nameOf(id),
      settings: plain(settings),
      train: valueOf(train.flights),
      ...(heldOut === undefined ? {} : { heldOut: valueOf(heldOut.flights) }),
    })),
    winner: nameOf(verdictOf(outcome) === "better" ? best.id : base.id),
    base: nameOf(base.id),
    givenUpCount,
  };
}

export function nameOf(id: number): string {
  return id === 0 ? "base policy" : `candidate ${id}`;
}

/** The mean of a figure over flights; those that do not have it count as 0. */
export function meanOf(flights: readonly Figures[], name: string): number {
  const sum = flights.reduce((total, figures) => total + (figures[name] ?? 0), 0);
  return sum / Math.max(1, flights.length);
}

function valueOf(flights: readonly Figures[]): ParetoValue {
  return {
    costMicroUsdPerHour: microUsdFromUsd(meanOf(flights, "cost")),
    waitP99Ms: meanOf(flights, "waitP99Ms"),
  };
}

function plain(settings: Settings): ParetoStudy["candidates"][number]["settings"] {
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [
      name,
      typeof value === "boolean" ? String(value) : value,
    ]),
  );
}
