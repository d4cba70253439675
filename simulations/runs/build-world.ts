/** From a spec to a world. Pure: whoever calls gives the texts of the files that it names. */
import {
  createRng,
  MS_PER_HOUR,
  MS_PER_SECOND,
  type ContainerNeeds,
  type Offer,
} from "../../core/index.ts";
import { readOffers } from "../../documents/index.ts";
import { catalogOffers } from "../../providers/index.ts";
import { scenarioOf } from "../scenarios/scenario.ts";
import { readAzureLlm } from "../traces/azure-llm.ts";
import { readCsvTrace } from "../traces/csv.ts";
import { alongPath } from "../traces/path.ts";
import { repeated, scaled, shareOut } from "../traces/reshape.ts";
import { readServegen } from "../traces/servegen.ts";
import { readSynthetic } from "../traces/synthetic-file.ts";
import { durationMsOf, type DemandTrace, type PathKind } from "../traces/trace.ts";
import type { ServiceTime, SimulatedFunction, World } from "../world.ts";
import { defaultOffer, withSpot } from "./build-market.ts";
import { peakGpusOf } from "./peak.ts";
import {
  BUILTIN_CATALOG,
  checkSpec,
  refusal,
  SIMULATED_POLICY,
  TRACE_DEFAULTS,
  wantedPeakOf,
  type RunSpec,
  type TextOf,
} from "./run-spec.ts";
import { worldWithin } from "./span.ts";
import { worldName } from "./world-name.ts";

const FUNCTION_ID = "function";
const CONTAINER_CPU_MILLI = 4_000;
const CONTAINER_MEMORY_MIB = 16_384;
const CONTAINERS_MAX = 1_000_000;
const AZURE_WINDOW_MS = 60 * MS_PER_SECOND;
const STEP_MS_AIM = 10 * MS_PER_SECOND;

/** Within one window of each layout: a table of one's own says what happens, others do not. */
const PATHS: Readonly<Record<NonNullable<RunSpec["trace"]>["format"], PathKind>> = {
  servegen: "bridge",
  "azure-llm": "step",
  csv: "step",
  synthetic: "step",
};

/**
 * The world that a spec says.
 *
 * @throws PlatformError `invalid_request` that names the file, its line where there is one, and
 *   what to do.
 */
export function buildWorld(spec: RunSpec, textOf: TextOf): World {
  checkSpec(spec);
  const demand = spec.trace === undefined ? undefined : demandOf(spec, spec.trace, textOf);
  const whole =
    spec.scenario === undefined
      ? traceWorld(spec, demand, textOf)
      : scenarioWorld(spec, spec.scenario, demand, textOf);
  const market = withSpot(whole, spec, textOf);
  const part = worldWithin({ ...whole, market }, spanOf(spec, whole.trace));
  return { ...sharedOut(part, spec), name: worldName(spec, part) };
}

/** Demand as a file has it, and how long its inputs run where the file says so. */
interface FileDemand {
  readonly trace: DemandTrace;
  readonly service?: ServiceTime;
}

function demandOf(
  spec: RunSpec,
  { file, format, name }: NonNullable<RunSpec["trace"]>,
  textOf: TextOf,
): FileDemand {
  const text = textOf(file);
  const called = name ?? baseName(file);
  switch (format) {
    case "servegen":
      return { trace: readServegen(text, file, { name: called, functionId: FUNCTION_ID }) };
    case "csv":
      return { trace: readCsvTrace(text, file, called) };
    case "synthetic":
      return { trace: readSynthetic(text, file, called) };
    case "azure-llm": {
      const options = { stepMs: STEP_MS_AIM, windowMs: AZURE_WINDOW_MS };
      const read = readAzureLlm(text, file, {
        ...options,
        name: called,
        functionId: FUNCTION_ID,
      });
      const { trace, service } = read;
      const { fromHours = 0, hours } = spec;
      const wantedMs = hours === undefined ? 0 : (fromHours + hours) * MS_PER_HOUR;
      const isShort = wantedMs > durationMsOf(trace);
      return { trace: isShort ? repeated(trace, wantedMs) : trace, service };
    }
  }
}

function traceWorld(spec: RunSpec, demand: FileDemand | undefined, textOf: TextOf): World {
  if (demand === undefined) throw refusal("a run needs a trace or a scenario: give one of them");
  const { trace, service } = demand;
  const settings = functionOf(spec, service);
  const functions = trace.series.map(({ functionId }) => ({ ...settings, functionId }));
  const offers = offersOf(spec, functions, textOf) ?? [
    defaultOffer(spec.gpu ?? TRACE_DEFAULTS.gpu),
  ];
  return {
    name: trace.name,
    description: trace.source,
    trace: shaped(trace, functions, spec),
    functions,
    market: {
      offers: withBoot(offers, spec.bootMs),
      bootSpreadFraction: TRACE_DEFAULTS.bootSpreadFraction,
      launchFailureFraction: 0,
      reclaimNoticeMs: 0,
      availability: [],
      events: [],
    },
    policy: spec.policy ?? SIMULATED_POLICY,
    controlMs: spec.controlMs ?? TRACE_DEFAULTS.controlMs,
    evictsIdle: spec.evictsIdle ?? true,
    arrivalCv: spec.arrivalCv ?? TRACE_DEFAULTS.arrivalCv,
  };
}

function scenarioWorld(
  spec: RunSpec,
  file: string,
  demand: FileDemand | undefined,
  textOf: TextOf,
): World {
  const text = textOf(file);
  const policy = spec.policy ?? SIMULATED_POLICY;
  const own = scenarioOf(text, file, {
    policy,
    ...(demand === undefined
      ? {}
      : { trace: demand.trace, hours: durationMsOf(demand.trace) / MS_PER_HOUR }),
  });
  const offers = offersOf(spec, own.functions, textOf) ?? own.market.offers;
  return {
    ...own,
    trace: shaped(own.trace, own.functions, spec),
    market: { ...own.market, offers: withBoot(offers, spec.bootMs) },
    controlMs: spec.controlMs ?? own.controlMs,
    evictsIdle: spec.evictsIdle ?? own.evictsIdle,
    arrivalCv: spec.arrivalCv ?? own.arrivalCv,
  };
}

function functionOf(spec: RunSpec, measured: ServiceTime | undefined): SimulatedFunction {
  const { snapshotMs } = spec;
  return {
    functionId: FUNCTION_ID,
    needs: {
      gpu: { types: [spec.gpu ?? TRACE_DEFAULTS.gpu], count: 1 },
      cpuMilli: CONTAINER_CPU_MILLI,
      memoryMiB: CONTAINER_MEMORY_MIB,
      preemptible: true,
    },
    service: {
      meanMs: spec.serviceMeanMs ?? measured?.meanMs ?? TRACE_DEFAULTS.serviceMeanMs,
      sigma: spec.serviceSigma ?? measured?.sigma ?? TRACE_DEFAULTS.serviceSigma,
    },
    start: {
      coldMs: spec.coldMs ?? TRACE_DEFAULTS.coldMs,
      ...(snapshotMs === undefined ? {} : { snapshotMs }),
    },
    minContainers: 0,
    maxContainers: CONTAINERS_MAX,
    bufferContainers: 0,
    scaledownWindowMs: spec.scaledownWindowMs ?? TRACE_DEFAULTS.scaledownWindowMs,
    concurrency: 1,
  };
}

/** A table's offers that could serve any of the functions; undefined when no table is given. */
function offersOf(
  { catalog }: RunSpec,
  functions: readonly SimulatedFunction[],
  textOf: TextOf,
): readonly Offer[] | undefined {
  if (catalog === undefined) return undefined;
  const all =
    catalog === BUILTIN_CATALOG
      ? (["aws", "gcp", "azure"] as const).flatMap((cloud) =>
          catalogOffers({ cloud, emulated: false }),
        )
      : readOffers(textOf(catalog), catalog).offers;
  const fitting = all.filter((offer) => functions.some(({ needs }) => mayFit(offer, needs)));
  if (fitting.length > 0) return fitting;
  const types = [...new Set(functions.flatMap(({ needs }) => needs.gpu?.types ?? []))];
  throw refusal(
    `none of the ${all.length} offers of ${catalog} has ${types.join(" or ")}, which the ` +
      "functions need: take another table or another GPU",
  );
}

function mayFit({ gpuType, resources }: Offer, { gpu }: ContainerNeeds): boolean {
  if (gpu === undefined) return true;
  return gpuType !== undefined && gpu.types.includes(gpuType) && resources.gpuCount >= gpu.count;
}

function withBoot(offers: readonly Offer[], bootMs: number | undefined): readonly Offer[] {
  return bootMs === undefined ? offers : offers.map((offer) => ({ ...offer, bootMs }));
}

/** Scaled, and led through the insides of its windows. */
function shaped(
  trace: DemandTrace,
  functions: readonly SimulatedFunction[],
  spec: RunSpec,
): DemandTrace {
  const sized = scaled(trace, factorOf(trace, functions, spec));
  const kind = spec.trace === undefined ? "step" : (spec.path ?? PATHS[spec.trace.format]);
  if (kind === "step" || sized.stepMs !== sized.windowMs) return sized;
  const stepMs = finerStepMs(sized.windowMs);
  const rng = createRng(spec.marketSeed ?? TRACE_DEFAULTS.marketSeed).fork("path");
  return alongPath(sized, { kind, stepMs, rng });
}

function factorOf(
  trace: DemandTrace,
  functions: readonly SimulatedFunction[],
  spec: RunSpec,
): number {
  const wanted = wantedPeakOf(spec);
  if (wanted === undefined) return spec.scale ?? 1;
  const peak = peakGpusOf(trace, functions);
  if (peak > 0) return wanted / peak;
  throw refusal(`${trace.name} asks for nothing at all: no factor makes a peak of it`);
}

/** The step nearest to 10 s of which a window has a whole number. */
function finerStepMs(windowMs: number): number {
  let count = Math.max(1, Math.round(windowMs / STEP_MS_AIM));
  while (!Number.isInteger(windowMs / count)) count -= 1;
  return windowMs / count;
}

function spanOf({ fromHours = 0, hours }: RunSpec, trace: DemandTrace) {
  const wholeMs = durationMsOf(trace);
  const fromMs = fromHours * MS_PER_HOUR;
  const untilMs = hours === undefined ? wholeMs : fromMs + hours * MS_PER_HOUR;
  // A last window that is not whole counts: hours that people write are rounded.
  if (fromMs < wholeMs && untilMs < wholeMs + trace.windowMs) return { fromMs, untilMs };
  const length = `${trace.name} is ${Math.round((wholeMs / MS_PER_HOUR) * 100) / 100} hours long`;
  throw refusal(
    `${length}: there is nothing ${fromMs < wholeMs ? "up to" : "from"} hour ${
      (fromMs < wholeMs ? untilMs : fromMs) / MS_PER_HOUR
    }; begin earlier or take fewer hours`,
  );
}

/** Demand shared out among as many functions as the spec says. */
function sharedOut(world: World, { functions = 1, zipfExponent, scenario }: RunSpec): World {
  const [one] = world.functions;
  if (functions === 1 || scenario !== undefined || one === undefined) return world;
  const exponent = zipfExponent ?? TRACE_DEFAULTS.zipfExponent;
  const trace = shareOut(world.trace, { functions, exponent });
  return {
    ...world,
    trace,
    functions: trace.series.map(({ functionId }) => ({ ...one, functionId })),
  };
}

function baseName(file: string): string {
  const name = file.slice(Math.max(file.lastIndexOf("/"), file.lastIndexOf("\\")) + 1);
  return name.replace(/(_aggregate)?\.(csv|ya?ml|json)(\.gz)?$/, "");
}
