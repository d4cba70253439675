/** Scenario files: YAML or JSON text to a world. Whoever calls reads the file. */
import {
  createRng,
  DEFAULT_POLICY,
  microUsdFromUsd,
  MS_PER_HOUR,
  MS_PER_SECOND,
  offerIdOf,
  type ContainerNeeds,
  type Offer,
  type Policy,
  type Rng,
} from "../../core/index.ts";
import { mistakesError, readDocument } from "../../documents/index.ts";
import { catalogOffers } from "../../providers/index.ts";
import { zoneLosses } from "../market.ts";
import { isMatch } from "../offer-match.ts";
import { cut, scaled, shareOut } from "../traces/reshape.ts";
import { synthesize } from "../traces/synthetic.ts";
import { durationMsOf, type DemandTrace } from "../traces/trace.ts";
import type {
  MarketEvent,
  OfferMatch,
  SimulatedFunction,
  SimulatedMarket,
  World,
} from "../world.ts";
import { fileRefusal, requireDemandSense, syntheticOf } from "./demand.ts";
import {
  scenarioFile,
  type ScenarioEvent,
  type ScenarioFile,
  type ScenarioFunction,
  type ScenarioMachine,
} from "./schema.ts";

/** What a command may lay over a scenario. */
export interface ScenarioOverrides {
  /** Instead of the scenario's own demand; its series keep their ids. */
  readonly trace?: DemandTrace;
  /** Instead of the scenario's machines, such as a price list. */
  readonly offers?: readonly Offer[];
  readonly policy?: Policy;
  /** All demand times this. */
  readonly scale?: number;
  /** Only the first hours of it, in whole windows. */
  readonly hours?: number;
}

const MIB_PER_GIB = 1_024;
const MILLI = 1_000;

/**
 * The world of a scenario.
 *
 * A series of a given trace gets the settings of the function with its id, or else those of the
 * scenario's first function.
 *
 * @param file What to call the text in errors, such as its file's name.
 * @throws PlatformError `invalid_request` with line, column, path and what is allowed there.
 */
export function scenarioOf(text: string, file: string, overrides: ScenarioOverrides = {}): World {
  const reading = readDocument(text, scenarioFile);
  if (reading.kind === "mistakes") throw mistakesError(file, reading.mistakes);
  const scenario = reading.value;
  const rng = createRng(scenario.seed);
  requireSense(scenario, file, overrides);
  const made = demandOf(scenario, rng.fork("demand"));
  const whole = overrides.trace ?? made.trace;
  const untilMs = (overrides.hours ?? scenario.hours) * MS_PER_HOUR;
  const trace = cut(scaled(whole, overrides.scale ?? 1), { fromMs: 0, untilMs });
  const [first] = made.functions;
  const own = new Map(made.functions.map((one) => [one.functionId, one]));
  const market = marketOf(scenario, durationMsOf(trace), overrides.offers, rng.fork("market"));
  if (overrides.offers === undefined) requireMatches(scenario, market.offers, file);
  return {
    name: scenario.name,
    description: scenario.description,
    trace,
    functions: trace.series.flatMap(({ functionId }) => {
      const settings = own.get(functionId) ?? first;
      return settings === undefined ? [] : [{ ...settings, functionId }];
    }),
    market,
    policy: overrides.policy ?? DEFAULT_POLICY,
    controlMs: scenario.controlSeconds * MS_PER_SECOND,
    evictsIdle: scenario.evictsIdle,
    arrivalCv: scenario.arrivalCv,
  };
}

/** What the schema cannot say. */
function requireSense(scenario: ScenarioFile, file: string, overrides: ScenarioOverrides): void {
  requireDemandSense(scenario, file);
  const { functions, market } = scenario;
  const broken = functions.find(({ gpuCount }) => gpuCount > 1 && !Number.isInteger(gpuCount));
  if (broken !== undefined) {
    const { id, gpuCount } = broken;
    const problem = `functions: ${id} has ${gpuCount} GPUs; more than one must be a whole number`;
    throw fileRefusal(file, problem);
  }
  if (market.machines.length > 0 || market.catalog !== undefined) return;
  if (overrides.offers !== undefined) return;
  throw fileRefusal(file, "market: has neither machines nor a catalog");
}

/** An event that is about no offer is a mistake in its match. */
function requireMatches({ market }: ScenarioFile, offers: readonly Offer[], file: string): void {
  for (const [index, event] of market.events.entries()) {
    const { match } = eventOf(event);
    if (offers.some((offer) => isMatch(offer, match))) continue;
    const said = JSON.stringify(match);
    throw fileRefusal(file, `market.events[${index}].match: ${said} fits none of the offers`);
  }
  const zones = new Set(offers.map(({ zone }) => zone));
  const unknown = market.zoneLosses?.zones.find((zone) => !zones.has(zone));
  if (unknown === undefined) return;
  throw fileRefusal(file, `market.zoneLosses.zones: no offer is in the zone ${unknown}`);
}

interface Demand {
  readonly trace: DemandTrace;
  readonly functions: readonly SimulatedFunction[];
}

function demandOf(scenario: ScenarioFile, rng: Rng): Demand {
  const { name, hours, spikes } = scenario;
  const trace = synthesize(
    {
      name,
      hours,
      stepMs: scenario.stepSeconds * MS_PER_SECOND,
      windowMs: scenario.windowSeconds * MS_PER_SECOND,
      functions: scenario.functions.map(syntheticOf),
      ...(spikes === undefined ? {} : { spikes }),
    },
    rng,
  );
  const functions: SimulatedFunction[] = [];
  const series = trace.series.flatMap((one, index) => {
    const settings = scenario.functions[index];
    if (settings === undefined) return [];
    const { copies, zipfExponent, id } = settings;
    const options = { functions: copies, exponent: zipfExponent, prefix: id };
    const shares = copies === 1 ? [one] : shareOut({ ...trace, series: [one] }, options).series;
    for (const { functionId } of shares) functions.push(functionOf(settings, functionId));
    return shares;
  });
  return { trace: { ...trace, series }, functions };
}

function functionOf(settings: ScenarioFunction, functionId: string): SimulatedFunction {
  const { snapshotSeconds } = settings;
  return {
    functionId,
    needs: needsOf(settings),
    service: { meanMs: settings.serviceSeconds * MS_PER_SECOND, sigma: settings.serviceSigma },
    start: {
      coldMs: settings.coldSeconds * MS_PER_SECOND,
      ...(snapshotSeconds === undefined ? {} : { snapshotMs: snapshotSeconds * MS_PER_SECOND }),
    },
    minContainers: settings.minContainers,
    maxContainers: settings.maxContainers,
    bufferContainers: settings.bufferContainers,
    scaledownWindowMs: settings.scaledownSeconds * MS_PER_SECOND,
    concurrency: settings.concurrency,
  };
}

function needsOf(settings: ScenarioFunction): ContainerNeeds {
  const { gpu, gpuCount, vcpus, memoryGib, preemptible, clouds, regions } = settings;
  return {
    gpu: { types: gpu, count: gpuCount },
    cpuMilli: Math.round(vcpus * MILLI),
    memoryMiB: Math.round(memoryGib * MIB_PER_GIB),
    preemptible,
    ...(clouds === undefined ? {} : { clouds }),
    ...(regions === undefined ? {} : { regions }),
  };
}

function marketOf(
  { market }: ScenarioFile,
  durationMs: number,
  offers: readonly Offer[] | undefined,
  rng: Rng,
): SimulatedMarket {
  const { zoneLosses: losses } = market;
  const lost =
    losses === undefined ? [] : zoneLosses({ ...losses, hours: durationMs / MS_PER_HOUR }, rng);
  const events = [...market.events.map(eventOf), ...lost];
  return {
    offers: offers ?? [...market.machines.map(offerOf), ...listedOffers(market.catalog)],
    bootSpreadFraction: market.bootSpreadFraction,
    launchFailureFraction: market.launchFailureFraction,
    reclaimNoticeMs: market.reclaimNoticeSeconds * MS_PER_SECOND,
    availability: [],
    events: events.sort((a, b) => a.atMs - b.atMs),
  };
}

function listedOffers(catalog: ScenarioFile["market"]["catalog"]): readonly Offer[] {
  if (catalog === undefined) return [];
  const { clouds, regions, gpu } = catalog;
  return clouds
    .flatMap((cloud) =>
      catalogOffers({ cloud, ...(regions === undefined ? {} : { regions }), emulated: false }),
    )
    .filter(({ gpuType }) => gpuType !== undefined && (gpu?.includes(gpuType) ?? true));
}

function offerOf(machine: ScenarioMachine): Offer {
  const { cloud, region, zone, instanceType, purchase, gpu, gpuCount } = machine;
  const offer: Omit<Offer, "offerId"> = {
    ...{ cloud, region, instanceType, purchase, gpuType: gpu },
    ...(zone === undefined ? {} : { zone }),
    resources: {
      gpuCount,
      cpuMilli: Math.round(machine.vcpusPerGpu * gpuCount * MILLI),
      memoryMiB: Math.round(machine.memoryGibPerGpu * gpuCount * MIB_PER_GIB),
    },
    priceMicroUsdPerHour: microUsdFromUsd(machine.usdPerGpuHour * gpuCount),
    reclaimFractionPerHour: machine.reclaimFractionPerHour,
    bootMs: machine.bootSeconds * MS_PER_SECOND,
    nodeCountMax: machine.nodeCountMax,
    quotaGroups: [`${cloud}/${region}/${gpu}/${purchase}`],
    emulated: false,
  };
  return { offerId: offerIdOf(offer), ...offer };
}

function eventOf({ kind, atHours, match: given, ...rest }: ScenarioEvent): MarketEvent {
  const atMs = atHours * MS_PER_HOUR;
  const match = matchOf(given);
  switch (kind) {
    case "capacity":
      return { kind, atMs, match, nodeCountMax: rest.nodeCountMax ?? Infinity };
    case "price":
      return { kind, atMs, match, factor: rest.factor ?? 1 };
    case "reclaim":
      return { kind, atMs, match, fraction: rest.fraction ?? 0 };
    case "outage":
      return { kind, atMs, untilMs: (rest.untilHours ?? atHours) * MS_PER_HOUR, match };
  }
}

function matchOf({ cloud, region, zone, gpuType, purchase }: ScenarioEvent["match"]): OfferMatch {
  return {
    ...(cloud === undefined ? {} : { cloud }),
    ...(region === undefined ? {} : { region }),
    ...(zone === undefined ? {} : { zone }),
    ...(gpuType === undefined ? {} : { gpuType }),
    ...(purchase === undefined ? {} : { purchase }),
  };
}
