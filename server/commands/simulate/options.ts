/** What the command line says to `flotilla simulate`, checked. */
import { availableParallelism } from "node:os";
import { isGpuType, type GpuType } from "../../../core/index.ts";
import { nearestWord } from "../../../documents/index.ts";
import {
  PATH_KINDS,
  policyNamed,
  TRACE_FORMATS,
  type PathKind,
  type PolicyName,
  type RunSpec,
  type TraceFormat,
} from "../../../simulations/index.ts";
import { CommandError } from "../outcome.ts";
import { knownSpot, knownTrace } from "./known-data.ts";

/** Options as they are written. */
export interface SimulateOptions {
  readonly trace?: string;
  readonly format?: string;
  readonly scenario?: string;
  readonly data?: string;
  readonly catalog?: string;
  readonly policy?: string;
  readonly spot?: readonly string[];
  readonly baseline?: readonly string[];
  readonly from?: string;
  readonly hours?: string;
  readonly scale?: string;
  readonly peakGpus?: string;
  readonly functions?: string;
  readonly gpu?: string;
  readonly serviceS?: string;
  readonly serviceSigma?: string;
  readonly coldS?: string;
  readonly path?: string;
  readonly bootS?: string;
  readonly controlS?: string;
  readonly cv?: string;
  /** False with `--no-evict-idle`. */
  readonly evictIdle?: boolean;
  readonly seeds?: string;
  readonly jobs?: string;
  readonly state?: string;
  readonly report?: string;
  readonly json?: boolean;
}

/** What is to be flown, and what is to become of it. */
export interface SimulateRequest {
  /** Without the policy, whose file is not read yet. */
  readonly spec: RunSpec;
  readonly policyFile?: string;
  /** Ours first. */
  readonly policies: readonly PolicyName[];
  readonly seeds: readonly number[];
  readonly jobCount: number;
  readonly stateDir?: string;
  readonly reportFile?: string;
  readonly isJson: boolean;
}

const SUBJECT = "flotilla";
const NO_BASELINE = "none";
const DEFAULT_BASELINES = ["reactive", "static"] as const;
const SEED_COUNT_MAX = 1_000;
const JOB_COUNT_MAX = 256;
const MS_PER_S = 1_000;

/** @throws CommandError `usage`, PlatformError `invalid_request` for what makes no sense. */
export function requestOf(options: SimulateOptions): SimulateRequest {
  const { policy, state, report, json } = options;
  return {
    spec: specOf(options),
    policies: policiesOf(options.baseline ?? DEFAULT_BASELINES),
    seeds: Array.from(
      { length: wholeNumber("--seeds", options.seeds, SEED_COUNT_MAX) ?? 1 },
      (_, index) => index + 1,
    ),
    jobCount: wholeNumber("--jobs", options.jobs, JOB_COUNT_MAX) ?? availableParallelism(),
    isJson: json === true,
    ...(policy === undefined ? {} : { policyFile: policy }),
    ...(state === undefined ? {} : { stateDir: state }),
    ...(report === undefined ? {} : { reportFile: report }),
  };
}

function policiesOf(baselines: readonly string[]): readonly PolicyName[] {
  const names = baselines.filter((name) => name !== NO_BASELINE).map(policyNamed);
  return [...new Set<PolicyName>([SUBJECT, ...names])];
}

function specOf(options: SimulateOptions): RunSpec {
  const { scenario, catalog, evictIdle } = options;
  if (scenario === undefined && options.trace === undefined) {
    throw new CommandError("usage", "a simulation needs a scenario or a trace", {
      nextStep:
        "give --scenario FILE (see examples/scenarios), or --trace FILE --format FORMAT; " +
        "`flotilla simulate --help` shows both",
    });
  }
  return dropAbsent({
    scenario,
    catalog,
    trace: traceOf(options),
    spot: options.spot === undefined ? undefined : knownSpot(options.spot, options.data),
    fromHours: number("--from", options.from),
    hours: number("--hours", options.hours),
    scale: number("--scale", options.scale),
    peakGpus: number("--peak-gpus", options.peakGpus),
    functions: number("--functions", options.functions),
    gpu: gpuOf(options.gpu),
    serviceMeanMs: milliseconds("--service-s", options.serviceS),
    serviceSigma: number("--service-sigma", options.serviceSigma),
    coldMs: milliseconds("--cold-s", options.coldS),
    path: oneOf("--path", options.path, PATH_KINDS),
    bootMs: milliseconds("--boot-s", options.bootS),
    controlMs: milliseconds("--control-s", options.controlS),
    arrivalCv: number("--cv", options.cv),
    evictsIdle: evictIdle === false ? false : undefined,
  });
}

function traceOf({ trace, format, data }: SimulateOptions): RunSpec["trace"] {
  if (trace === undefined) {
    if (format === undefined) return undefined;
    throw new CommandError(
      "usage",
      `--format ${format} says how a trace is laid out: give --trace`,
    );
  }
  const given = oneOf<TraceFormat>("--format", format, TRACE_FORMATS);
  return knownTrace(trace, given, data);
}

function gpuOf(text: string | undefined): GpuType | undefined {
  if (text === undefined || isGpuType(text)) return text;
  throw new CommandError("usage", `--gpu takes a GPU type such as H100 or A100-80GB, not ${text}`);
}

function oneOf<Word extends PathKind | TraceFormat>(
  flag: string,
  text: string | undefined,
  words: readonly Word[],
): Word | undefined {
  const found = words.find((word) => word === text);
  if (text === undefined || found !== undefined) return found;
  const near = nearestWord(text, words);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  throw new CommandError("usage", `${flag} takes one of ${words.join(", ")}, not ${text}${hint}`);
}

function milliseconds(flag: string, text: string | undefined): number | undefined {
  const seconds = number(flag, text);
  return seconds === undefined ? undefined : Math.round(seconds * MS_PER_S);
}

function number(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+(\.\d+)?(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new CommandError("usage", `${flag} takes a number of 0 or more, not ${text}`);
}

function wholeNumber(flag: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= 1 && value <= max) return value;
  throw new CommandError("usage", `${flag} takes a whole number from 1 to ${max}, not ${text}`);
}

type Absent<Type> = { readonly [Key in keyof Type]: Type[Key] | undefined };

/** Fields without a value go: a spec's absent ones are those that it does not have. */
function dropAbsent(fields: Partial<Absent<RunSpec>>): RunSpec {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present);
}
