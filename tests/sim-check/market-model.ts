/** What the worlds of the whole platform rent, and the functions that they run. */
import {
  DEFAULT_POLICY,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  offerIdOf,
  type Offer,
  type Policy,
} from "../../core/index.ts";
import type { FunctionSpec } from "../../sdk/protocol/index.ts";
import type { Work } from "./agent-model.ts";

const REGIONS = ["r1", "r2", "forbidden"] as const;
const FORBIDDEN = "forbidden";
const GPU_MICRO_USD_PER_HOUR = 2_000_000;

function offer(region: string, gpuCount: number, over: Partial<Offer> = {}): Offer {
  const made: Omit<Offer, "offerId"> = {
    cloud: "fake",
    region,
    instanceType: `h100x${gpuCount}`,
    purchase: "on-demand",
    gpuType: "H100",
    resources: { gpuCount, cpuMilli: 8_000 * gpuCount, memoryMiB: 65_536 * gpuCount },
    priceMicroUsdPerHour: GPU_MICRO_USD_PER_HOUR * gpuCount,
    reclaimFractionPerHour: 0,
    bootMs: 20_000,
    nodeCountMax: 6,
    quotaGroups: [`fake/${region}/h/on-demand`],
    emulated: true,
    ...over,
  };
  return { ...made, offerId: offerIdOf(made) };
}

/** Two sizes in two regions and one that must not be used, where it is cheapest. */
export const OFFERS: readonly Offer[] = REGIONS.flatMap((region, index) => {
  const isForbidden = region === FORBIDDEN;
  const discount = isForbidden ? 0.5 : 1 + 0.02 * index;
  return [2, 4].map((gpuCount) =>
    offer(region, gpuCount, {
      priceMicroUsdPerHour: Math.round(GPU_MICRO_USD_PER_HOUR * gpuCount * discount),
      bootMs: 15_000 + 5_000 * gpuCount,
    }),
  );
});

/** Machines of at most fourteen GPUs may be rented at once. */
const BUDGET_GPUS = 14;

/** Short times, so that minutes show what hours would. */
export const SIM_POLICY: Policy = {
  ...DEFAULT_POLICY,
  optimizer: {
    ...DEFAULT_POLICY.optimizer,
    regions: REGIONS.filter((region) => region !== FORBIDDEN),
    budgetMicroUsdPerHourMax: BUDGET_GPUS * GPU_MICRO_USD_PER_HOUR,
  },
  pool: {
    ...DEFAULT_POLICY.pool,
    launchTimeoutMs: MS_PER_MINUTE,
    registrationTimeoutMs: 3 * MS_PER_MINUTE,
    idleReleaseMs: 20 * MS_PER_SECOND,
    drainTimeoutMs: 40 * MS_PER_SECOND,
    refusalTtlMs: 30 * MS_PER_SECOND,
    consolidation: {
      ...DEFAULT_POLICY.pool.consolidation,
      validateMs: 5 * MS_PER_SECOND,
      periodMs: 30 * MS_PER_SECOND,
    },
  },
};

/** A function of a simulated user, and how its inputs run. */
export interface SimFunction {
  readonly name: string;
  readonly spec: FunctionSpec;
  readonly work: Omit<Work, "failedStartFraction" | "crashFraction">;
}

const SMALL = { cpu: 1, memoryMiB: 1_024, scaledownWindowMs: 5_000 } as const;

/** Short and long runs, on one GPU and two, one input at a time and several. */
export const FUNCTIONS: readonly SimFunction[] = [
  {
    name: "quick",
    spec: { ...SMALL, gpu: "H100", maxContainers: 6 },
    work: { startMs: 1_500, runMs: 400, errorFraction: 0.05 },
  },
  {
    name: "wide",
    spec: { ...SMALL, gpu: "H100:2", maxContainers: 3, preemptible: true },
    work: { startMs: 4_000, runMs: 2_500, errorFraction: 0 },
  },
  {
    name: "shared",
    spec: { ...SMALL, gpu: "H100", maxContainers: 2, maxConcurrentInputs: 4 },
    work: { startMs: 2_500, runMs: 900, errorFraction: 0.02 },
  },
];
