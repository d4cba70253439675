/** Random markets of middle size for property tests: several GPU types, regions and scenarios. */
import fc from "fast-check";
import type { DemandClass, GpuType, Offer, OptimizerPolicy } from "../core/index.ts";
import type { PlanInput } from "./plan.ts";
import { testClass, testInput, testOffer } from "./test-market.ts";

const TYPES: readonly GpuType[] = ["H100", "A100-80GB", "L4"];
const REGIONS = ["us-east-1", "eu-west-1"];

const anyOffer = fc.record({
  gpuType: fc.constantFrom(...TYPES),
  gpuCount: fc.constantFrom(1, 2, 4, 8),
  coresPerGpu: fc.integer({ min: 6, max: 30 }),
  gibPerGpu: fc.integer({ min: 24, max: 200 }),
  centsPerGpu: fc.integer({ min: 50, max: 400 }),
  spot: fc.boolean(),
  region: fc.constantFrom(...REGIONS),
  cloud: fc.constantFrom("aws" as const, "gcp" as const),
  nodeCountMax: fc.integer({ min: 1, max: 8 }),
});

const anyClass = fc.record({
  types: fc.subarray([...TYPES], { minLength: 1 }),
  gpuCount: fc.constantFrom(0.25, 0.5, 1, 1, 1, 2, 3, 4, 8),
  cores: fc.integer({ min: 1, max: 12 }),
  gib: fc.integer({ min: 4, max: 64 }),
  preemptible: fc.boolean(),
  here: fc.boolean(),
  unmetUsd: fc.constantFrom(3, 12, 40),
  level: fc.integer({ min: 1, max: 12 }),
});

const anyPolicy = fc.record({
  shares: fc.constantFrom<OptimizerPolicy["shares"]>(
    [],
    [{ of: "cloud", name: "aws", maxFraction: 0.6 }],
    [{ of: "purchase", name: "spot", minFraction: 0.1, maxFraction: 0.5 }],
  ),
  concentration: fc.constantFrom<OptimizerPolicy["concentration"]>(
    [],
    [{ of: "region", freeFraction: 0.3, microUsdPerGpuHour: 200_000 }],
  ),
  budgetUsd: fc.constantFrom(undefined, undefined, 40),
});

/** Inputs that are large enough for every step of the relaxation, and small enough to prove. */
export function anyMiddleInput(size: {
  readonly offers: number;
  readonly classes: number;
}): fc.Arbitrary<PlanInput> {
  return fc
    .record({
      offers: fc.array(anyOffer, { minLength: 4, maxLength: size.offers }),
      classes: fc.array(anyClass, { minLength: 2, maxLength: size.classes }),
      policy: anyPolicy,
      quota: fc.constantFrom(undefined, 3, 6),
      present: fc.array(fc.nat({ max: 2 }), { minLength: size.offers, maxLength: size.offers }),
    })
    .map(({ offers: drawn, classes: wanted, policy, quota, present }) => {
      const offers = drawn.map(offerFrom);
      const { budgetUsd, ...rules } = policy;
      const quantity = (level: number) =>
        Object.fromEntries(wanted.map((one, index) => [`c${index}`, Math.ceil(one.level * level)]));
      return testInput({
        offers,
        classes: wanted.map(classFrom),
        scenarios: [
          { scenarioId: "usual", probability: 0.7, quantity: quantity(1) },
          { scenarioId: "peak", probability: 0.3, quantity: quantity(1.5) },
        ],
        fleet: offers.flatMap(({ offerId }, index) => {
          const count = present[index] ?? 0;
          return count > 0 ? [{ offerId, count }] : [];
        }),
        ...(quota === undefined ? {} : { quotaLimits: { H100: quota } }),
        policy: {
          ...rules,
          hysteresisFraction: 0.02,
          ...(budgetUsd === undefined ? {} : { budgetMicroUsdPerHourMax: budgetUsd * 1e6 }),
        },
      });
    });
}

function offerFrom(
  draw: typeof anyOffer extends fc.Arbitrary<infer T> ? T : never,
  index: number,
): Offer {
  return testOffer(`type${String(index).padStart(2, "0")}`, {
    gpuType: draw.gpuType,
    cloud: draw.cloud,
    region: draw.region,
    purchase: draw.spot ? "spot" : "on-demand",
    resources: {
      gpuCount: draw.gpuCount,
      cpuMilli: draw.gpuCount * draw.coresPerGpu * 1_000,
      memoryMiB: draw.gpuCount * draw.gibPerGpu * 1_024,
    },
    priceMicroUsdPerHour: draw.gpuCount * draw.centsPerGpu * 10_000,
    reclaimFractionPerHour: draw.spot ? 0.02 : 0,
    nodeCountMax: draw.nodeCountMax,
    quotaGroups: [draw.gpuType],
  });
}

function classFrom(
  draw: typeof anyClass extends fc.Arbitrary<infer T> ? T : never,
  index: number,
): DemandClass {
  return {
    ...testClass(`c${index}`, {
      gpu: { types: draw.types, count: draw.gpuCount },
      cpuMilli: draw.cores * 1_000,
      memoryMiB: draw.gib * 1_024,
      preemptible: draw.preemptible,
      ...(draw.here ? { regions: ["us-east-1"] } : {}),
    }),
    unmetMicroUsdPerHour: draw.unmetUsd * 1_000_000,
  };
}
