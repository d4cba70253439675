/** Small offers, needs and views for tests. */
import { offerIdOf, type ContainerNeeds, type Offer } from "../core/index.ts";
import type { CapacityView, FunctionLoad, OfferFleet } from "./capacity-policy.ts";

/** An on-demand offer of one H100 at 3 USD/h in aws/us-east-1, but for what `overrides` says. */
export function testOffer(overrides: Partial<Offer> = {}): Offer {
  const offer: Omit<Offer, "offerId"> = {
    cloud: "aws",
    region: "us-east-1",
    instanceType: "one-h100",
    purchase: "on-demand",
    gpuType: "H100",
    resources: { gpuCount: 1, cpuMilli: 16_000, memoryMiB: 131_072 },
    priceMicroUsdPerHour: 3_000_000,
    reclaimFractionPerHour: 0,
    bootMs: 150_000,
    nodeCountMax: 100_000,
    quotaGroups: [],
    emulated: false,
    ...overrides,
  };
  return { ...offer, offerId: overrides.offerId ?? offerIdOf(offer) };
}

/** A node of eight of them at 24 USD/h, but for what `overrides` says. */
export function testHost(overrides: Partial<Offer> = {}): Offer {
  return testOffer({
    instanceType: "eight-h100",
    resources: { gpuCount: 8, cpuMilli: 128_000, memoryMiB: 1_048_576 },
    priceMicroUsdPerHour: 24_000_000,
    ...overrides,
  });
}

/** One H100, 4 cores and 16 GiB. */
export function testNeeds(overrides: Partial<ContainerNeeds> = {}): ContainerNeeds {
  return {
    gpu: { types: ["H100"], count: 1 },
    cpuMilli: 4_000,
    memoryMiB: 16_384,
    preemptible: false,
    ...overrides,
  };
}

/** A function that keeps `gpus` containers busy with inputs of 10 s. */
export function testLoad(gpus: number, overrides: Partial<FunctionLoad> = {}): FunctionLoad {
  return {
    functionId: "chat",
    needs: testNeeds(),
    arrivedPerSecond: gpus / 10,
    arrivalsPerSecond: gpus / 10,
    containers: Math.ceil(gpus),
    waiting: 0,
    serviceMs: 10_000,
    running: Math.floor(gpus),
    backlog: 0,
    concurrency: 1,
    floor: 0,
    maxContainers: 100_000,
    busyPeak: Math.ceil(gpus),
    ...overrides,
  };
}

/** What a policy sees at a moment. */
export function testView(
  nowMs: number,
  offers: readonly Offer[],
  functions: readonly FunctionLoad[],
  fleet: readonly OfferFleet[] = [],
): CapacityView {
  return { nowMs, offers, fleet, functions, started: 0, missed: 0 };
}
