/**
 * Instances of the fleet problem, drawn with fixed seeds from offers of the real price catalog.
 *
 * Offers are catalog rows, each in up to three zones whose prices differ by a few per cent, with
 * a capacity of 1 to 64 nodes; quotas bind now and then; classes ask for GPUs as functions do:
 * mostly one, in lists of preference, now and then eight or a fraction, some in few regions only,
 * some never on spot. Demand has three scenarios: usual, busy, peak.
 */
import {
  createRng,
  DEFAULT_OPTIMIZER_POLICY,
  offerIdOf,
  type CloudName,
  type DemandClass,
  type GpuType,
  type Offer,
  type OptimizerPolicy,
  type Rng,
} from "../../core/index.ts";
import type { PlanInput } from "../../optimizer/index.ts";

/** The size of an instance. */
export interface InstanceSize {
  readonly name: string;
  readonly offerCount: number;
  readonly classCount: number;
}

export const SIZES: readonly InstanceSize[] = [
  { name: "s", offerCount: 50, classCount: 10 },
  { name: "m", offerCount: 300, classCount: 40 },
  { name: "l", offerCount: 1_500, classCount: 150 },
  { name: "xl", offerCount: 5_000, classCount: 400 },
];

const CATALOG_CLASS_COUNT = 150;

/** The seed of the published figures. */
export const SEED = 2_026;

const SCENARIOS = [
  { scenarioId: "usual", probability: 0.55, level: 1 },
  { scenarioId: "busy", probability: 0.35, level: 1.25 },
  { scenarioId: "peak", probability: 0.1, level: 1.6 },
] as const;

/** Rules that a careful operator sets: no cloud holds more than 60 %, spot at most 70 %. */
const POLICY: OptimizerPolicy = {
  ...DEFAULT_OPTIMIZER_POLICY,
  gapFraction: 0.005,
  shares: [
    { of: "cloud", name: "gcp", maxFraction: 0.6 },
    { of: "cloud", name: "aws", minFraction: 0.1, maxFraction: 0.6 },
    { of: "cloud", name: "azure", maxFraction: 0.6 },
    { of: "purchase", name: "spot", maxFraction: 0.7 },
  ],
  concentration: [{ of: "region", freeFraction: 0.2, microUsdPerGpuHour: 150_000 }],
};

/** Lists of preference that functions of our examples and of other platforms' users ask for. */
const GPU_LISTS: readonly (readonly GpuType[])[] = [
  ["H100"],
  ["H100", "H200"],
  ["H200", "H100"],
  ["H100", "A100-80GB"],
  ["A100-80GB"],
  ["A100-80GB", "A100-40GB"],
  ["A100-40GB", "A100-80GB", "L40S"],
  ["L40S", "A100-40GB"],
  ["L40S", "A10", "L4"],
  ["A10", "L4"],
  ["L4"],
  ["L4", "T4"],
  ["T4", "L4", "A10"],
  ["T4"],
  ["V100", "T4"],
  ["B200", "H200"],
];

/**
 * Draws an instance.
 *
 * @param market Offers of the catalog, one or two a row (on-demand, spot), in any order.
 */
export function drawInstance(
  market: readonly Offer[],
  { name, offerCount, classCount }: InstanceSize,
  seed: number = SEED,
): PlanInput {
  const rng = createRng(`${name}/${seed}`);
  const offers = drawOffers(market, offerCount, rng.fork("offers"));
  return {
    ...withDemand(offers, classCount, rng),
    quotaLimits: drawQuotas(offers, rng.fork("quotas")),
  };
}

/** Classes that some of the offers suit, and what they want in three scenarios. */
function withDemand(offers: readonly Offer[], classCount: number, rng: Rng): PlanInput {
  const classes = drawClasses(offers, classCount, rng.fork("classes"));
  const quantities = rng.fork("quantities");
  const levels = classes.map((demand) => drawLevel(demand, quantities));
  return {
    offers,
    classes,
    scenarios: SCENARIOS.map(({ scenarioId, probability, level }) => ({
      scenarioId,
      probability,
      quantity: Object.fromEntries(
        classes.map(({ classId }, index) => {
          const noise = level === 1 ? 1 : 0.8 + 0.4 * quantities.next();
          return [classId, Math.max(1, Math.round((levels[index] ?? 1) * level * noise))];
        }),
      ),
    })),
    fleet: [],
    policy: POLICY,
  };
}

/** The whole price list as it is, unlimited by zones and quotas, for 150 classes. */
export function drawWholeMarket(market: readonly Offer[], seed: number = SEED): PlanInput {
  return withDemand(market, CATALOG_CLASS_COUNT, createRng(`catalog/${seed}`));
}

/** The same instance a while later: every quantity moves by up to `share`, up or down. */
export function driftDemand(input: PlanInput, share: number, seed: number = SEED): PlanInput {
  const rng = createRng(`drift/${seed}`);
  return {
    ...input,
    scenarios: input.scenarios.map((scenario) => ({
      ...scenario,
      quantity: Object.fromEntries(
        Object.entries(scenario.quantity).map(([classId, quantity]) => [
          classId,
          Math.max(0, Math.round(quantity * (1 + share * (2 * rng.next() - 1)))),
        ]),
      ),
    })),
  };
}

function drawOffers(market: readonly Offer[], count: number, rng: Rng): readonly Offer[] {
  const sorted = [...market].sort((a, b) => (a.offerId < b.offerId ? -1 : 1));
  const withGpus = shuffled(
    sorted.filter((offer) => offer.gpuType !== undefined),
    rng.fork("gpu"),
  );
  const without = shuffled(
    sorted.filter((offer) => offer.gpuType === undefined),
    rng.fork("cpu"),
  );
  const cpuCount = Math.min(without.length, Math.round(count * 0.05));
  const rows = [...without.slice(0, cpuCount), ...withGpus];
  const offers = new Map<string, Offer>();
  for (let zone = 0; offers.size < count && zone < 3; zone += 1) {
    for (const row of rows) {
      if (offers.size >= count) break;
      const drawn = inZone(row, zone, rng);
      offers.set(drawn.offerId, drawn);
    }
  }
  return [...offers.values()];
}

/** One row in one zone: prices of zones differ by up to 3 %. */
function inZone(row: Offer, zone: number, rng: Rng): Offer {
  const name = row.zone ?? `${row.region}-${"abc".charAt(zone)}`;
  const price = Math.round(row.priceMicroUsdPerHour * (1 + 0.03 * zone * rng.next()));
  const nodeCountMax = Math.round(2 ** (6 * rng.next()));
  const quotaGroups = [quotaGroupOf(row)];
  const offer = {
    ...row,
    zone: zone > 0 && row.zone !== undefined ? `${row.zone}${zone}` : name,
    priceMicroUsdPerHour: price,
    nodeCountMax,
    quotaGroups,
  };
  return { ...offer, offerId: offerIdOf(offer) };
}

function quotaGroupOf({ cloud, region, gpuType, purchase }: Offer): string {
  return `${cloud}/${region}/${gpuType ?? "cpu"}/${purchase === "spot" ? "spot" : "steady"}`;
}

/** Two groups of three have a quota of a third to all of what their offers hold. */
function drawQuotas(offers: readonly Offer[], rng: Rng): Readonly<Record<string, number>> {
  const held = new Map<string, number>();
  for (const { quotaGroups, nodeCountMax } of offers) {
    for (const group of quotaGroups) held.set(group, (held.get(group) ?? 0) + nodeCountMax);
  }
  const limited = [...held].flatMap(([group, nodes]): [string, number][] => {
    const [drawn, share] = [rng.next(), 1 / 3 + (2 / 3) * rng.next()];
    return drawn < 2 / 3 ? [[group, Math.max(1, Math.round(nodes * share))]] : [];
  });
  return Object.fromEntries(limited);
}

function drawClasses(offers: readonly Offer[], count: number, rng: Rng): readonly DemandClass[] {
  const types = new Set(offers.flatMap(({ gpuType }) => (gpuType === undefined ? [] : [gpuType])));
  const lists = GPU_LISTS.map((list) => list.filter((type) => types.has(type))).filter(
    (list) => list.length > 0,
  );
  return Array.from({ length: count }, (_, index) => {
    const list = pick(lists, rng) ?? [];
    const gpuCount = drawGpuCount(rng);
    const isCpuOnly = rng.next() < 0.06;
    const size = isCpuOnly ? 1 + rng.below(8) : gpuCount;
    const suitable = offers.filter(({ gpuType }) =>
      isCpuOnly ? gpuType === undefined : gpuType !== undefined && list.includes(gpuType),
    );
    const where = drawPlace(suitable, rng);
    return {
      classId: `class-${String(index).padStart(3, "0")}`,
      needs: {
        ...(isCpuOnly ? {} : { gpu: { types: list, count: gpuCount } }),
        cpuMilli: Math.round(size * (4 + 20 * rng.next())) * 250,
        memoryMiB: Math.round(size * (4 + 28 * rng.next())) * 1_024,
        preemptible: rng.next() < 0.6,
        ...where,
      },
      unmetMicroUsdPerHour: Math.round(size * (15 + 25 * rng.next()) * (isCpuOnly ? 0.2e6 : 1e6)),
    };
  });
}

function drawGpuCount(rng: Rng): number {
  const drawn = rng.next();
  if (drawn < 0.58) return 1;
  if (drawn < 0.7) return 2;
  if (drawn < 0.8) return 4;
  if (drawn < 0.88) return 8;
  if (drawn < 0.91) return 3;
  return drawn < 0.96 ? 0.5 : 0.25;
}

interface Place {
  readonly regions?: readonly string[];
  readonly clouds?: readonly CloudName[];
}

/** Half of all classes run anywhere, a quarter in a few regions, the others on two clouds. */
function drawPlace(suitable: readonly Offer[], rng: Rng): Place {
  const drawn = rng.next();
  if (drawn < 0.5 || suitable.length === 0) return {};
  if (drawn < 0.75) {
    const regions = [...new Set(suitable.map(({ region }) => region))].sort();
    return { regions: shuffled(regions, rng).slice(0, 2 + rng.below(5)) };
  }
  const clouds = [...new Set(suitable.map(({ cloud }) => cloud))].sort();
  return { clouds: shuffled(clouds, rng).slice(0, 2) };
}

/** Containers of a class on a usual day: many small ones, a few large. */
function drawLevel(demand: DemandClass, rng: Rng): number {
  const spread = Math.exp(1.1 * (rng.next() + rng.next() + rng.next() - 1.5) * 1.6);
  const gpuCount = demand.needs.gpu?.count ?? 1;
  return Math.max(1, (12 * spread) / Math.max(1, gpuCount / 1.5));
}

function pick<Item>(items: readonly Item[], rng: Rng): Item | undefined {
  return items[rng.below(Math.max(1, items.length))];
}

function shuffled<Item>(items: readonly Item[], rng: Rng): readonly Item[] {
  return items
    .map((item) => ({ item, key: rng.next() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
