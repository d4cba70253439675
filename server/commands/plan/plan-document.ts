/** A plan as data for programs: the JSON of `flotilla plan`. */
import { assert, usdFromMicroUsd, type Offer } from "../../../core/index.ts";
import type { FleetPlan } from "../../../optimizer/index.ts";
import type { OfferTable } from "../../../documents/index.ts";
import type { Situation } from "./situation.ts";

/** What a line did not choose, and what the same size of it would have cost. */
export interface NextBestDocument {
  readonly offerId: string;
  readonly cloud: string;
  readonly region: string;
  readonly zone: string | null;
  readonly instanceType: string;
  readonly purchase: string;
  /** Of one node. */
  readonly usdPerHourEach: number;
  /** Nodes with at least the line's GPUs (its cpus, on machines without GPUs). */
  readonly count: number;
  readonly usdPerHour: number;
}

/** One line: how many nodes of an offer, and why. */
export interface LineDocument {
  readonly offerId: string;
  readonly cloud: string;
  readonly region: string;
  /** Null where the provider picks the zone. */
  readonly zone: string | null;
  readonly instanceType: string;
  readonly purchase: string;
  readonly gpu: string | null;
  readonly gpuCount: number;
  readonly count: number;
  readonly delta: number;
  /** Of one node. */
  readonly usdPerHourEach: number;
  /** Of all nodes of the line. */
  readonly usdPerHour: number;
  readonly reason: string;
  readonly nextBest: NextBestDocument | null;
}

/** The whole plan; money in USD per hour. */
export interface PlanDocument {
  readonly status: FleetPlan["status"];
  readonly objectiveUsdPerHour: number;
  readonly boundUsdPerHour: number;
  readonly gapFraction: number;
  readonly solver: string;
  readonly solveMs: number;
  readonly terms: Readonly<Record<string, number>>;
  readonly lines: readonly LineDocument[];
  readonly unmet: FleetPlan["unmet"];
  readonly shadowPrices: FleetPlan["shadowPrices"];
  readonly offersConsidered: number;
  /** Rows of the table of offers, and those of no use by reason. */
  readonly offerRows: {
    readonly read: number;
    readonly passedOver: OfferTable["passedOver"];
  };
  readonly solverFailures: readonly string[];
}

/** The parts of a plan that are shown. */
export type ShownPlan = Omit<
  Pick<FleetPlan, Exclude<keyof PlanDocument, "offerRows" | "solveMs" | "terms">>,
  "lines"
> & {
  readonly terms: Readonly<Record<string, number>>;
  readonly lines: readonly Omit<FleetPlan["lines"][number], "layouts">[];
};

/** The document of a plan that was made for a situation. */
export function planDocument(
  { plan, solveMs }: { readonly plan: ShownPlan; readonly solveMs: number },
  situation: Situation,
  table: Omit<OfferTable, "offers">,
): PlanDocument {
  const offers = new Map(situation.offers.map((offer) => [offer.offerId, offer]));
  return {
    status: plan.status,
    objectiveUsdPerHour: plan.objectiveUsdPerHour,
    boundUsdPerHour: plan.boundUsdPerHour,
    gapFraction: plan.gapFraction,
    solver: plan.solver,
    solveMs,
    terms: { ...plan.terms },
    lines: plan.lines.map((line) => {
      const offer = offers.get(line.offerId);
      assert(offer !== undefined, `the plan has a line for ${line.offerId}, which is not listed`);
      return lineDocument(line, offer, offers);
    }),
    unmet: plan.unmet,
    shadowPrices: plan.shadowPrices,
    offersConsidered: plan.offersConsidered,
    offerRows: { read: table.rowCount, passedOver: table.passedOver },
    solverFailures: plan.solverFailures,
  };
}

/** Adding 0 makes 0 of -0, which a solver may answer. */
function lineDocument(
  line: ShownPlan["lines"][number],
  offer: Offer,
  offers: ReadonlyMap<string, Offer>,
): LineDocument {
  const each = usdFromMicroUsd(line.priceMicroUsdPerHour);
  const next = offers.get(line.nextBest?.offerId ?? "");
  return {
    ...placeOf(offer),
    gpu: offer.gpuType ?? null,
    gpuCount: offer.resources.gpuCount,
    count: line.count + 0,
    delta: line.delta + 0,
    usdPerHourEach: each,
    usdPerHour: usd(each * line.count),
    reason: line.reason,
    nextBest: next === undefined ? null : nextBestDocument(next, offer, line.count),
  };
}

function nextBestDocument(next: Offer, own: Offer, ownCount: number): NextBestDocument {
  const count = Math.ceil((ownCount * sizeOf(own)) / Math.max(1, sizeOf(next, own)) - 1e-9);
  const each = usdFromMicroUsd(next.priceMicroUsdPerHour);
  return { ...placeOf(next), usdPerHourEach: each, count, usdPerHour: usd(each * count) };
}

/** What two offers are compared by: GPUs if the line has any, else cpus. */
function sizeOf({ resources }: Offer, line?: Offer): number {
  const hasGpus = (line?.resources ?? resources).gpuCount > 0;
  return hasGpus ? resources.gpuCount : resources.cpuMilli;
}

function placeOf(
  offer: Offer,
): Pick<LineDocument, "offerId" | "cloud" | "region" | "zone" | "instanceType" | "purchase"> {
  const { offerId, cloud, region, zone, instanceType, purchase } = offer;
  return { offerId, cloud, region, zone: zone ?? null, instanceType, purchase };
}

/** To whole micro-dollars, and never -0. */
export function usd(value: number): number {
  return Math.round(value * 1e6) / 1e6 + 0;
}
