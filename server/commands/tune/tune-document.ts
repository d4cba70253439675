/** What a search found, as a JSON document that programs may rely on. */
import {
  nameOf,
  verdictOf,
  type Judgement,
  type Stretch,
  type TunedCandidate,
  type Verdict,
} from "../../../simulations/index.ts";
import { chosenContent, chosenOf, type Found } from "./found.ts";

/** Grows when a field changes its meaning or goes; new fields do not count. */
const TUNE_DOCUMENT_VERSION = 1;

export interface TuneDocument {
  readonly version: typeof TUNE_DOCUMENT_VERSION;
  readonly world: string;
  readonly commit?: string;
  readonly objective: string;
  readonly parameters: readonly string[];
  readonly searchSeed: number;
  readonly verdict: Verdict;
  /** `base policy` or `candidate N`. */
  readonly chosen: string;
  /** Content of the policy file that is written. */
  readonly policy: unknown;
  readonly policyFile: string;
  readonly train: Stretch;
  readonly heldOut: Stretch;
  readonly flights: number;
  readonly givenUp: number;
  /** The base policy, and those that flew the whole training stretch, the best first. */
  readonly candidates: readonly DocumentCandidate[];
}

export interface DocumentCandidate {
  readonly name: string;
  readonly settings: TunedCandidate["settings"];
  /** `value` is the objective's; null where it has none. */
  readonly train: Judgement;
  readonly heldOut?: Judgement;
}

export function tuneDocument(found: Found, policyFile: string): TuneDocument {
  const { outcome, parameters, windows, world, commit, objective, searchSeed } = found;
  return {
    version: TUNE_DOCUMENT_VERSION,
    world,
    ...(commit === undefined ? {} : { commit }),
    objective,
    parameters: parameters.map(({ name }) => name),
    searchSeed,
    verdict: verdictOf(outcome),
    chosen: nameOf(chosenOf(found).id),
    policy: chosenContent(found),
    policyFile,
    train: windows.train,
    heldOut: windows.heldOut,
    flights: outcome.flown,
    givenUp: outcome.givenUpCount,
    candidates: [outcome.base, ...outcome.candidates].map(
      ({ id, settings, train, heldOut }): DocumentCandidate => ({
        name: nameOf(id),
        settings,
        train,
        ...(heldOut === undefined ? {} : { heldOut }),
      }),
    ),
  };
}
