/** What the command line says to `flotilla tune`, checked. */
import { dirname, resolve } from "node:path";
import { stat } from "node:fs/promises";
import { messageOf } from "../../../core/index.ts";
import {
  FIGURE_NAMES,
  readObjective,
  RUNGS_MAX,
  type Objective,
  type RunSpec,
} from "../../../simulations/index.ts";
import { CommandError } from "../outcome.ts";
import { requestOf as simulateRequestOf, type SimulateOptions } from "../simulate/options.ts";

/** Options as they are written: those of `simulate` that say what the world is, and our own. */
export interface TuneCommandOptions extends Omit<SimulateOptions, "baseline"> {
  readonly objective?: string;
  readonly params?: string;
  readonly budgetRuns?: string;
  readonly trainShare?: string;
  readonly rungs?: string;
  readonly searchSeed?: string;
  readonly out?: string;
}

export interface TuneRequest {
  /** Without a policy. */
  readonly spec: RunSpec;
  readonly policyFile?: string;
  readonly objective: Objective;
  /** As it was given: names are looked up in the world. */
  readonly params: string;
  readonly runs: number;
  readonly seedCount: number;
  readonly trainFraction: number;
  readonly rungCount?: number;
  readonly searchSeed: number;
  readonly jobCount: number;
  readonly stateDir?: string;
  readonly outFile: string;
  readonly reportFile?: string;
  readonly isJson: boolean;
}

/** As they would be written. */
const TEXT_DEFAULTS = {
  objective: "cost + 0.002*waitP99Ms",
  params:
    "buffers.quantile=0.5..0.999,buffers.missFractionTarget=0.001..0.05:log," +
    "pool.idleReleaseSeconds=30..600:log,optimizer.churnUsd=0.001..1:log",
  budgetRuns: "100",
  trainShare: "0.5",
  searchSeed: "1",
  out: "tuned-policy.yaml",
} as const;
const SEEDS_DEFAULT = "2";

const RUNS_MAX = 100_000;
const SEEDS_MAX = 100;
const SEARCH_SEED_MAX = 2 ** 31;

/** @throws CommandError `usage`, PlatformError `invalid_request` for what makes no sense. */
export function tuneRequestOf(options: TuneCommandOptions): TuneRequest {
  const { seeds, report, rungs, ...worldOptions } = options;
  const world = simulateRequestOf({ ...worldOptions, baseline: ["none"] });
  const given = { ...TEXT_DEFAULTS, ...options };
  requireOwnFile(given.out, options.policy);
  return {
    spec: world.spec,
    objective: readObjective(given.objective, FIGURE_NAMES),
    params: given.params,
    runs: wholeNumber("--budget-runs", given.budgetRuns, RUNS_MAX),
    seedCount: wholeNumber("--seeds", seeds ?? SEEDS_DEFAULT, SEEDS_MAX),
    trainFraction: shareOf(given.trainShare),
    searchSeed: wholeNumber("--search-seed", given.searchSeed, SEARCH_SEED_MAX),
    jobCount: world.jobCount,
    outFile: given.out,
    isJson: world.isJson,
    ...(options.policy === undefined ? {} : { policyFile: options.policy }),
    ...(rungs === undefined ? {} : { rungCount: wholeNumber("--rungs", rungs, RUNGS_MAX) }),
    ...(options.state === undefined ? {} : { stateDir: options.state }),
    ...(report === undefined ? {} : { reportFile: report }),
  };
}

function requireOwnFile(outFile: string, policyFile: string | undefined): void {
  if (policyFile === undefined || resolve(policyFile) !== resolve(outFile)) return;
  throw new CommandError("usage", `--out ${outFile} would replace the policy that is tuned`, {
    nextStep: "give another file",
  });
}

/** A mistake in a path shows before hours of work, not after. @throws CommandError `usage`. */
export async function requireFolderOf(flag: string, file: string): Promise<void> {
  const folder = dirname(resolve(file));
  const isFolder = await stat(folder).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      const problem = `${flag} ${file} cannot be written: ${messageOf(cause)}`;
      throw new CommandError("usage", problem, { cause });
    },
  );
  if (isFolder) return;
  throw new CommandError("usage", `${flag} ${file} cannot be written: ${folder} is no folder`);
}

function shareOf(text: string): number {
  const value = /^(0?\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value < 1) return value;
  throw new CommandError("usage", `--train-share takes a number between 0 and 1, not ${text}`);
}

function wholeNumber(flag: string, text: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new CommandError("usage", `${flag} takes a whole number from 1 to ${max}, not ${text}`);
}
