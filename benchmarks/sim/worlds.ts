/**
 * The worlds and policies of the simulation benchmark: two weeks of public traffic on a fleet of
 * a stated size, one GPU a machine, inputs of 10 s, boots of 150 s, containers of 5 s.
 *
 * Source of the setting: the definitions of docs/simulating.md. Traffic is ServeGen's
 * (docs/traces.md), its holes filled, along a bridge; spot is either drawn (calm) or the measured
 * availability of V100s of 2023 (hard), of which the planner knows the loss an hour by zone.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  createRng,
  DEFAULT_POLICY,
  MS_PER_HOUR,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  offerIdOf,
  type Offer,
  type Policy,
} from "../../core/index.ts";
import { availabilityOf, lossPerHour, spotOffers, zoneLosses } from "../../simulations/market.ts";
import { alongPath } from "../../simulations/traces/path.ts";
import { cut, scaledToPeak, shareOut } from "../../simulations/traces/reshape.ts";
import { readServegen } from "../../simulations/traces/servegen.ts";
import { readSpotTrace } from "../../simulations/traces/spot.ts";
import type { DemandTrace, PathKind } from "../../simulations/traces/trace.ts";
import type { SimulatedFunction, SimulatedMarket, World } from "../../simulations/world.ts";

const SERVICE_MS = 10 * MS_PER_SECOND;
const STEP_MS = 10 * MS_PER_SECOND;
const PATH_SEED = "path 1";
const ZONES = ["a", "b", "c", "d", "e", "f"] as const;

/** What may differ between the worlds. */
export interface WorldChoice {
  readonly series?: "m-mid" | "m-large";
  readonly path?: PathKind;
  readonly peakGpus?: number;
  /** Part of the trace, in days. */
  readonly fromDay?: number;
  readonly days?: number;
  /** Functions that share the traffic by Zipf's law; 1 when absent. */
  readonly functions?: number;
  readonly evictsIdle?: boolean;
  readonly spot?: "calm" | "hard";
  readonly arrivalCv?: number;
}

/** Whether the traces are there. */
export function hasTraces(dataDir: string): boolean {
  return existsSync(servegenFile(dataDir, "m-mid"));
}

/** The world of a choice. @throws whatever reading its traces does */
export function worldOf(dataDir: string, choice: WorldChoice): World {
  const { peakGpus = 1_000, functions: functionCount = 1, spot } = choice;
  const trace = traceOf(dataDir, choice);
  const shared =
    functionCount === 1 ? trace : shareOut(trace, { functions: functionCount, exponent: 1 });
  return {
    name: nameOf(choice),
    description: "public traffic on one kind of machine",
    trace: shared,
    functions: shared.series.map(({ functionId }) => functionOf(functionId)),
    market: marketOf(dataDir, { spot, peakGpus, days: choice.days ?? 14 }),
    policy: servingPolicy(spot !== undefined),
    controlMs: 10 * MS_PER_SECOND,
    evictsIdle: choice.evictsIdle ?? true,
    arrivalCv: choice.arrivalCv ?? 1,
  };
}

/**
 * The policy that is judged: waiting is worth 19 idle GPUs, so forecasts are held at 95 %, and
 * corrected until 3.9 inputs in a thousand wait. Nodes are given up after a minute.
 */
export function servingPolicy(isSpotAllowed: boolean): Policy {
  return {
    ...DEFAULT_POLICY,
    optimizer: {
      ...DEFAULT_POLICY.optimizer,
      spotAllowed: isSpotAllowed,
      hysteresisFraction: 0,
      buffers: {
        ...DEFAULT_POLICY.optimizer.buffers,
        waitMicroUsdPerGpuHour: 19 * PRICE_MICRO_USD,
        missFractionTarget: 0.0039,
      },
    },
    pool: {
      ...DEFAULT_POLICY.pool,
      idleReleaseMs: MS_PER_MINUTE,
      nodeCountMax: 20_000,
      launchBurstMax: 2_000,
      launchesPerSecondMax: 100,
      actionCountMaxPerTick: 1_000,
    },
  };
}

const PRICE_MICRO_USD = 2_500_000;

function nameOf({ series = "m-mid", peakGpus = 1_000, ...choice }: WorldChoice): string {
  const parts = Object.entries(choice).map(([name, value]) => `${name} ${String(value)}`);
  return [`${series}, peak ${peakGpus} GPUs`, ...parts].join(", ");
}

function servegenFile(dataDir: string, series: string): string {
  return join(dataDir, "servegen", `${series}_aggregate.csv.gz`);
}

function traceOf(dataDir: string, choice: WorldChoice): DemandTrace {
  const { series = "m-mid", path = "bridge", peakGpus = 1_000, fromDay = 0, days = 14 } = choice;
  const file = servegenFile(dataDir, series);
  const text = gunzipSync(readFileSync(file)).toString("utf8");
  const windows = readServegen(text, file, { name: series, functionId: "chat" });
  const perSecond = (peakGpus * MS_PER_SECOND) / SERVICE_MS;
  const rng = createRng(PATH_SEED);
  const whole = alongPath(scaledToPeak(windows, perSecond), { kind: path, stepMs: STEP_MS, rng });
  const dayMs = 24 * MS_PER_HOUR;
  return cut(whole, { fromMs: fromDay * dayMs, untilMs: (fromDay + days) * dayMs });
}

function functionOf(functionId: string): SimulatedFunction {
  return {
    functionId,
    needs: {
      gpu: { types: ["H100"], count: 1 },
      cpuMilli: 4_000,
      memoryMiB: 16_384,
      preemptible: true,
    },
    service: { meanMs: SERVICE_MS, sigma: 1 },
    start: { coldMs: 5 * MS_PER_SECOND },
    minContainers: 0,
    maxContainers: 20_000,
    bufferContainers: 0,
    scaledownWindowMs: MS_PER_MINUTE,
    concurrency: 1,
  };
}

function onDemand(): Offer {
  const offer: Omit<Offer, "offerId"> = {
    cloud: "aws",
    region: "us-east-1",
    instanceType: "h100x1",
    purchase: "on-demand",
    gpuType: "H100",
    resources: { gpuCount: 1, cpuMilli: 16_000, memoryMiB: 131_072 },
    priceMicroUsdPerHour: PRICE_MICRO_USD,
    reclaimFractionPerHour: 0,
    bootMs: 150 * MS_PER_SECOND,
    nodeCountMax: 20_000,
    quotaGroups: [],
    emulated: false,
  };
  return { ...offer, offerId: offerIdOf(offer) };
}

interface MarketChoice {
  readonly spot: WorldChoice["spot"];
  readonly peakGpus: number;
  readonly days: number;
}

function marketOf(dataDir: string, { spot, peakGpus, days }: MarketChoice): SimulatedMarket {
  const offer = onDemand();
  const plain: SimulatedMarket = {
    offers: [offer],
    bootSpreadFraction: 0.2,
    launchFailureFraction: 0,
    reclaimNoticeMs: 0,
    availability: [],
    events: [],
  };
  if (spot === undefined) return plain;
  const most = { offer, priceFraction: 0.4, nodeCountMax: Math.round(0.3 * peakGpus) };
  if (spot === "calm") {
    const offers = spotOffers({ ...most, zones: ZONES, reclaimFractionPerHour: 0.02 });
    const losses = { zones: ZONES, everyHours: 72, fraction: 0.8, hours: 24 * days };
    const events = zoneLosses(losses, createRng("zone losses"));
    return { ...plain, offers: [offer, ...offers], events };
  }
  const measured = measuredSpot(dataDir, peakGpus);
  const offers = ZONES.flatMap((zone, index) => {
    const trace = measured[index];
    if (trace === undefined) return [];
    return spotOffers({ ...most, zones: [zone], reclaimFractionPerHour: lossPerHour(trace) });
  });
  return {
    ...plain,
    offers: [offer, ...offers],
    availability: availabilityOf(offers, measured),
  };
}

/**
 * When each of six zones had spot V100s in 2023; all that a zone may hold, or none. The six of the
 * nine zones measured from 2023-02-15 on that had most: 36 to 82 % of the first two weeks.
 */
function measuredSpot(
  dataDir: string,
  peakGpus: number,
): readonly Omit<SimulatedMarket["availability"][number], "offerIds">[] {
  const names = [
    "us-east-1f",
    "us-east-2a",
    "us-east-2b",
    "us-west-2a",
    "us-west-2b",
    "us-west-2c",
  ];
  return names.map((zone) => {
    const file = `availability_1-node_aws-02-15-2023_${zone}_v100_1.json.gz`;
    const path = join(dataDir, "spot-traces", file);
    const text = gunzipSync(readFileSync(path)).toString("utf8");
    return readSpotTrace(text, path, Math.round(0.3 * peakGpus));
  });
}
