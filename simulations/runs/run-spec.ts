/**
 * What a run is of, as plain data: it survives JSON, so that it can be handed to worker threads,
 * kept beside results and hashed. Files are named here and read in `run.ts`.
 */
import {
  DEFAULT_POLICY,
  MS_PER_HOUR,
  MS_PER_SECOND,
  PlatformError,
  type GpuType,
  type Policy,
} from "../../core/index.ts";
import { PATH_KINDS, type PathKind } from "../traces/trace.ts";

/** Layouts of demand (docs/traces.md); `synthetic` is a file of stated parameters. */
export const TRACE_FORMATS = ["servegen", "azure-llm", "csv", "synthetic"] as const;
export type TraceFormat = (typeof TRACE_FORMATS)[number];

/** What stands for the built-in catalog where a table of offers may. */
export const BUILTIN_CATALOG = "builtin";

/** A file of demand. */
export interface TraceFile {
  readonly file: string;
  readonly format: TraceFormat;
  /** What to call it in reports; absent means the file's name. */
  readonly name?: string;
}

/** Spot machines beside what is on demand: six zones of made-up chance, or measured ones. */
export type SpotSpec =
  { readonly kind: "calm" } | { readonly kind: "measured"; readonly files: readonly string[] };

/**
 * A world, said by files and numbers. Absent fields have the defaults of `TRACE_DEFAULTS`, or are
 * the scenario's where there is one.
 */
export interface RunSpec {
  /** A scenario file; at least one of it and `trace` is there. */
  readonly scenario?: string;
  /** Demand; with a scenario, instead of the scenario's own. */
  readonly trace?: TraceFile;
  /** A table of offers, or `builtin` for the built-in catalog; absent means one offer. */
  readonly catalog?: string;
  /** Absent means `SIMULATED_POLICY`. */
  readonly policy?: Policy;
  readonly spot?: SpotSpec;
  readonly fromHours?: number;
  /** Absent means to the end. */
  readonly hours?: number;
  /** All demand times this. */
  readonly scale?: number;
  /** All demand times what makes its highest window keep so many GPUs busy. */
  readonly peakGpus?: number;
  /** Functions among which the trace's demand is shared out. */
  readonly functions?: number;
  /** The k-th of them has a share in proportion to k^-exponent. */
  readonly zipfExponent?: number;
  /** GPU type of the trace's functions. */
  readonly gpu?: GpuType;
  readonly serviceMeanMs?: number;
  /** Standard deviation of the logarithm of service times. */
  readonly serviceSigma?: number;
  /** Start of a container, without and with a snapshot. */
  readonly coldMs?: number;
  readonly snapshotMs?: number;
  readonly scaledownWindowMs?: number;
  /** How demand moves within a measured window. */
  readonly path?: PathKind;
  /** Fixes the path and the spot market's losses; not the run's own seed. */
  readonly marketSeed?: number;
  /** From a rent to a node that takes work, of all offers. */
  readonly bootMs?: number;
  readonly controlMs?: number;
  /** Coefficient of variation of the gaps between arrivals; 1 is Poisson. */
  readonly arrivalCv?: number;
  readonly evictsIdle?: boolean;
}

/** What a trace says nothing of. Source: the assumptions that docs/simulating.md lists. */
export const TRACE_DEFAULTS = {
  gpu: "H100",
  serviceMeanMs: 10 * MS_PER_SECOND,
  serviceSigma: 1,
  coldMs: 5 * MS_PER_SECOND,
  scaledownWindowMs: 60 * MS_PER_SECOND,
  bootMs: 150 * MS_PER_SECOND,
  bootSpreadFraction: 0.2,
  controlMs: 10 * MS_PER_SECOND,
  arrivalCv: 1,
  zipfExponent: 1,
  marketSeed: 1,
  /** Of servegen traces, which are of a whole service: larger than any one fleet. */
  peakGpus: 1_000,
} as const;

const WAIT_MICRO_USD_PER_GPU_HOUR = 60_000_000;
const NODE_COUNT_MAX = 100_000;

/**
 * The policy of simulations that name none: the default policy, but for a price on waiting (a
 * minute of one GPU is worth a dollar, as in `examples/policies/balanced.yaml`), without which no
 * buffer is held, and for the guard on the number of nodes, which large traces exceed.
 */
export const SIMULATED_POLICY: Policy = {
  ...DEFAULT_POLICY,
  optimizer: {
    ...DEFAULT_POLICY.optimizer,
    buffers: {
      ...DEFAULT_POLICY.optimizer.buffers,
      waitMicroUsdPerGpuHour: WAIT_MICRO_USD_PER_GPU_HOUR,
    },
  },
  pool: { ...DEFAULT_POLICY.pool, nodeCountMax: NODE_COUNT_MAX },
};

const HOURS_MAX = 24 * 366;
const AMOUNT_MAX = 1e6;
const MS_MAX = 24 * MS_PER_HOUR;

/** Least and greatest value of each number, and what to call it in messages. */
const RANGES = {
  fromHours: [0, HOURS_MAX, "hours to begin at"],
  hours: [1 / 60, HOURS_MAX, "hours"],
  scale: [1e-6, AMOUNT_MAX, "scale"],
  peakGpus: [1, AMOUNT_MAX, "GPUs at the peak"],
  functions: [1, 10_000, "functions"],
  zipfExponent: [0, 5, "Zipf exponent"],
  serviceMeanMs: [1, MS_MAX, "milliseconds of service"],
  serviceSigma: [0, 3, "sigma of service"],
  coldMs: [0, MS_MAX, "milliseconds of a cold start"],
  snapshotMs: [0, MS_MAX, "milliseconds of a start from a snapshot"],
  scaledownWindowMs: [0, MS_MAX, "milliseconds of the scaledown window"],
  bootMs: [0, MS_MAX, "milliseconds of a boot"],
  controlMs: [100, MS_PER_HOUR, "milliseconds between two looks"],
  arrivalCv: [0, 10, "coefficient of variation of arrivals"],
} as const satisfies Partial<Record<keyof RunSpec, readonly [number, number, string]>>;

/** Settings of the functions of a trace; a scenario has its own. */
const OF_TRACES = [
  ...["functions", "zipfExponent", "gpu", "serviceMeanMs", "serviceSigma"],
  ...["coldMs", "snapshotMs", "scaledownWindowMs"],
] as const;

/**
 * Makes sure that a spec makes sense.
 *
 * @throws PlatformError `invalid_request` that says what to change.
 */
export function checkSpec(spec: RunSpec): void {
  for (const [field, [least, most, name]] of Object.entries(RANGES)) {
    const value = numberOf(spec, field);
    if (value === undefined || (value >= least && value <= most)) continue;
    throw refusal(`${name} must be from ${Number(least.toPrecision(2))} to ${most}, not ${value}`);
  }
  for (const problem of problemsOf(spec)) throw refusal(problem);
}

/** What is wrong with a spec beyond its numbers, the first thing first. */
function problemsOf(spec: RunSpec): readonly string[] {
  const { scenario, trace, scale, peakGpus, functions = 1, path } = spec;
  const strange = OF_TRACES.find((field) => spec[field] !== undefined);
  const rules: readonly (readonly [isWrong: boolean, problem: string])[] = [
    [
      scenario === undefined && trace === undefined,
      "a run needs a trace or a scenario: give one of them",
    ],
    [!Number.isInteger(functions), `${functions} is no whole number of functions`],
    [
      scale !== undefined && peakGpus !== undefined,
      "demand is scaled by a factor or to a peak, not both: leave one out",
    ],
    [
      path !== undefined && !PATH_KINDS.includes(path),
      `there is no path ${path ?? ""}: take one of ${PATH_KINDS.join(", ")}`,
    ],
    [
      path !== undefined && trace === undefined,
      "a scenario's demand has no windows that a path leads through: leave the path out",
    ],
    [
      scenario !== undefined && strange !== undefined,
      `the scenario says what its functions are: leave ${strange ?? ""} out`,
    ],
  ];
  return rules.filter(([isWrong]) => isWrong).map(([, problem]) => problem);
}

/** The files that a spec names. */
export function filesOf({ scenario, trace, catalog, spot }: RunSpec): readonly string[] {
  return [
    ...(scenario === undefined ? [] : [scenario]),
    ...(trace === undefined ? [] : [trace.file]),
    ...(catalog === undefined || catalog === BUILTIN_CATALOG ? [] : [catalog]),
    ...(spot?.kind === "measured" ? spot.files : []),
  ];
}

/** The peak that demand is scaled to; undefined where it is scaled by a factor, or not at all. */
export function wantedPeakOf({ peakGpus, scale, trace }: RunSpec): number | undefined {
  const isServegen = trace?.format === "servegen" && scale === undefined;
  return peakGpus ?? (isServegen ? TRACE_DEFAULTS.peakGpus : undefined);
}

function numberOf(spec: RunSpec, field: string): number | undefined {
  const value = Object.entries(spec).find(([key]) => key === field)?.[1] as unknown;
  return typeof value === "number" ? value : undefined;
}

/** An input that nobody can use. */
export function refusal(message: string): PlatformError {
  return new PlatformError(message, { code: "invalid_request", retryable: false });
}

/** The text of a file, unpacked. @throws PlatformError `invalid_request` when it cannot be read. */
export type TextOf = (file: string) => string;
