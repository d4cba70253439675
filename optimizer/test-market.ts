/** Small offers, classes and inputs for tests. */
import {
  DEFAULT_OPTIMIZER_POLICY,
  offerIdOf,
  type ContainerNeeds,
  type DemandClass,
  type Offer,
  type OptimizerPolicy,
} from "../core/index.ts";
import type { PlanInput } from "./plan.ts";

/** An on-demand offer of one H100 at 3 USD/h in aws/us-east-1, but for what `overrides` says. */
export function testOffer(instanceType: string, overrides: Partial<Offer> = {}): Offer {
  const offer: Omit<Offer, "offerId"> = {
    cloud: "aws",
    region: "us-east-1",
    instanceType,
    purchase: "on-demand",
    gpuType: "H100",
    resources: { gpuCount: 1, cpuMilli: 16_000, memoryMiB: 131_072 },
    priceMicroUsdPerHour: 3_000_000,
    reclaimFractionPerHour: 0,
    bootMs: 60_000,
    nodeCountMax: 10,
    quotaGroups: ["aws/us-east-1/P/on-demand"],
    emulated: false,
    ...overrides,
  };
  return { ...offer, offerId: overrides.offerId ?? offerIdOf(offer) };
}

/** A class of containers with one H100, 4 cores and 16 GiB, worth 1,000 USD/h each. */
export function testClass(classId: string, needs: Partial<ContainerNeeds> = {}): DemandClass {
  return {
    classId,
    needs: {
      gpu: { types: ["H100"], count: 1 },
      cpuMilli: 4_000,
      memoryMiB: 16_384,
      preemptible: false,
      ...needs,
    },
    unmetMicroUsdPerHour: 1_000_000_000,
  };
}

/** Parts of an input; `quantity` stands for one certain scenario. */
export interface TestInput extends Partial<Omit<PlanInput, "policy">> {
  readonly quantity?: Readonly<Record<string, number>>;
  readonly policy?: Partial<OptimizerPolicy>;
}

/** An input with a proved optimum asked for (gap 0) and the default policy otherwise. */
export function testInput(parts: TestInput): PlanInput {
  const { quantity = {}, policy = {}, ...rest } = parts;
  return {
    offers: [],
    classes: [],
    fleet: [],
    scenarios: [{ scenarioId: "now", probability: 1, quantity }],
    ...rest,
    policy: { ...DEFAULT_OPTIMIZER_POLICY, gapFraction: 0, ...policy },
  };
}
