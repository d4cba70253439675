/** What can be rented in a run that no scenario says it of. */
import { createRng, MS_PER_HOUR, offerIdOf, type GpuType, type Offer } from "../../core/index.ts";
import { catalogOffers } from "../../providers/index.ts";
import { availabilityOf, lossPerHour, spotOffers, zoneLosses } from "../market.ts";
import { readSpotTrace } from "../traces/spot.ts";
import { durationMsOf } from "../traces/trace.ts";
import type { SimulatedMarket, World } from "../world.ts";
import { peakGpusOf } from "./peak.ts";
import { refusal, TRACE_DEFAULTS, type RunSpec, type TextOf } from "./run-spec.ts";

/** As many as anybody asks for. */
const PLENTY = 100_000;

/**
 * Spot machines of a calm market. Source: the study named in `bounds/`: a price of 0.4 times that
 * on demand, 2 % an hour taken back one by one, and each of six zones losing 80 % every 72 hours;
 * a zone has machines for 30 % of the peak.
 */
const SPOT = {
  priceFraction: 0.4,
  zoneFractionOfPeak: 0.3,
  calm: {
    zones: ["a", "b", "c", "d", "e", "f"].map((letter) => `spot-${letter}`),
    reclaimFractionPerHour: 0.02,
    everyHours: 72,
    fraction: 0.8,
  },
} as const;

/**
 * The machine of a run without a table of offers: on demand, with the fewest such GPUs, the
 * cheapest of the built-in catalog, always to be had.
 *
 * @throws PlatformError `invalid_request` when the catalog has none.
 */
export function defaultOffer(gpu: GpuType): Offer {
  const [offer] = (["aws", "gcp", "azure"] as const)
    .flatMap((cloud) => catalogOffers({ cloud, emulated: false }))
    .filter(({ gpuType, purchase }) => gpuType === gpu && purchase === "on-demand")
    .sort(
      (a, b) =>
        a.resources.gpuCount - b.resources.gpuCount ||
        a.priceMicroUsdPerHour - b.priceMicroUsdPerHour ||
        (a.offerId < b.offerId ? -1 : 1),
    );
  if (offer === undefined) {
    throw refusal(`the built-in catalog has no ${gpu} on demand: give a table of offers`);
  }
  return {
    ...offer,
    bootMs: TRACE_DEFAULTS.bootMs,
    nodeCountMax: PLENTY,
    quotaGroups: [],
  };
}

/** The market with the spot machines that a spec adds to it. */
export function withSpot(world: World, spec: RunSpec, textOf: TextOf): SimulatedMarket {
  const { spot } = spec;
  const { market } = world;
  if (spot === undefined) return market;
  const base = baseOffer(market.offers);
  const gpus = SPOT.zoneFractionOfPeak * peakGpusOf(world.trace, world.functions);
  const nodeCountMax = Math.max(1, Math.ceil(gpus / base.resources.gpuCount));
  const { priceFraction } = SPOT;
  if (spot.kind === "calm") {
    const { zones, reclaimFractionPerHour, everyHours, fraction } = SPOT.calm;
    const rates = { priceFraction, reclaimFractionPerHour, nodeCountMax };
    const hours = durationMsOf(world.trace) / MS_PER_HOUR;
    const rng = createRng(spec.marketSeed ?? TRACE_DEFAULTS.marketSeed).fork("zone losses");
    const losses = zoneLosses({ zones, everyHours, fraction, hours }, rng);
    return {
      ...market,
      offers: [...market.offers, ...spotOffers({ offer: base, zones, ...rates })],
      events: [...market.events, ...losses].sort((a, b) => a.atMs - b.atMs),
    };
  }
  const traces = spot.files.map((file) => readSpotTrace(textOf(file), file, nodeCountMax));
  const offers = spot.files.flatMap((file, index) => {
    const trace = traces[index];
    if (trace === undefined) return [];
    const { zone, region = base.region } = zoneOf(file, index);
    const reclaimFractionPerHour = lossPerHour(trace);
    const rates = { priceFraction, reclaimFractionPerHour, nodeCountMax };
    return spotOffers({ offer: { ...base, region }, zones: [zone], ...rates });
  });
  const ids = offers.map(({ offerId }) => offerId);
  const twice = spot.files.find((_, index) => ids.indexOf(ids[index] ?? "") !== index);
  if (twice !== undefined) {
    throw refusal(`${twice} is of a zone that another spot trace is of too: leave one out`);
  }
  return {
    ...market,
    offers: [...market.offers, ...offers],
    availability: [...market.availability, ...availabilityOf(offers, traces)],
  };
}

/** The machine that spot ones are like: the cheapest on demand, by GPU. */
function baseOffer(offers: readonly Offer[]): Offer {
  const perGpu = (offer: Offer): number =>
    offer.priceMicroUsdPerHour / Math.max(1, offer.resources.gpuCount);
  const [base] = offers
    .filter(({ purchase, gpuType }) => purchase === "on-demand" && gpuType !== undefined)
    .sort((a, b) => perGpu(a) - perGpu(b) || (a.offerId < b.offerId ? -1 : 1));
  if (base === undefined) {
    throw refusal("spot machines are priced by those on demand, of which there are none");
  }
  return { ...base, offerId: offerIdOf(base) };
}

/** Zone and region, where the name of a file has an AWS zone in it. */
function zoneOf(file: string, index: number): { readonly zone: string; readonly region?: string } {
  const found = /[a-z]{2}-[a-z]+-\d[a-z]/.exec(file.slice(file.lastIndexOf("/") + 1))?.[0];
  if (found === undefined) return { zone: `spot-${index + 1}` };
  return { zone: found, region: found.slice(0, -1) };
}
