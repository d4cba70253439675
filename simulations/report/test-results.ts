/**
 * Made-up simulation results that are shaped like real ones, so that reports can be looked at
 * and tested without flying a fleet. The parts agree with each other as the contract in
 * `result.ts` says: each cost map adds up to what was paid, and `useful <= held <= paid`.
 */
import { createRng, MS_PER_HOUR, MS_PER_MINUTE, type Rng } from "../../core/index.ts";
import type {
  CostReport,
  FunctionReport,
  SimulationResult,
  TimeQuantiles,
  Timeline,
} from "../result.ts";

/** What to make up; absent fields are those of two weeks of a 1,000-GPU fleet. */
export interface MadeUpRun {
  readonly world?: string;
  readonly policy?: string;
  readonly seed?: number;
  readonly bucketCount?: number;
  readonly functionCount?: number;
}

interface MadeUpPolicy {
  readonly policy: string;
  /** Paid GPUs over busy ones. */
  readonly overhead: number;
  readonly isStatic: boolean;
  readonly spotFraction: number;
  readonly waitP99Ms: number;
}

const BUCKET_MS = 10 * MS_PER_MINUTE;
const PEAK_GPUS = 1_000;
const SERVICE_SECONDS = 10;

const POLICIES: readonly MadeUpPolicy[] = [
  { policy: "flotilla", overhead: 1.18, isStatic: false, spotFraction: 0.5, waitP99Ms: 1_100 },
  { policy: "reactive-70-10", overhead: 1.61, isStatic: false, spotFraction: 0, waitP99Ms: 240 },
  { policy: "static-peak", overhead: 1, isStatic: true, spotFraction: 0, waitP99Ms: 40 },
];

/** Offer, GPU type, dollars per GPU-hour, and its part of the offers of its purchase option. */
const OFFERS: readonly (readonly [string, string, number, number])[] = [
  ["aws/us-east-1/us-east-1a/p5.48xlarge/on-demand", "H100", 6.88, 0.3],
  ["aws/us-west-2/us-west-2b/p5.48xlarge/on-demand", "H100", 6.88, 0.16],
  ["aws/eu-central-1/*/p4d.24xlarge/on-demand", "A100-40GB", 4.1, 0.07],
  ["gcp/us-central1/us-central1-a/a3-highgpu-8g/on-demand", "H100", 7.3, 0.2],
  ["gcp/asia-northeast1/asia-northeast1-b/a3-highgpu-8g/on-demand", "H100", 8.1, 0.05],
  ["azure/eastus/*/Standard_ND96isr_H100_v5/on-demand", "H100", 6.98, 0.15],
  ["azure/westeurope/*/Standard_ND96amsr_A100_v4/on-demand", "A100-80GB", 4.7, 0.07],
  ["aws/us-east-1/us-east-1c/p5.48xlarge/spot", "H100", 2.6, 0.3],
  ["aws/eu-north-1/*/p4d.24xlarge/spot", "A100-40GB", 1.3, 0.15],
  ["gcp/europe-west4/europe-west4-b/a3-highgpu-8g/spot", "H100", 2.9, 0.25],
  ["gcp/us-central1/us-central1-c/a2-highgpu-8g/spot", "A100-40GB", 1.6, 0.1],
  ["azure/swedencentral/*/Standard_ND96isr_H100_v5/spot", "H100", 2.8, 0.2],
];

/** Three policies and three seeds, in that order. */
export function madeUpResults(run: MadeUpRun = {}): readonly SimulationResult[] {
  return POLICIES.flatMap(({ policy }) =>
    [1, 2, 3].map((seed) => madeUpResult({ ...run, policy, seed })),
  );
}

/** One run; equal inputs give equal results. An unknown policy behaves like the first. */
export function madeUpResult(run: MadeUpRun = {}): SimulationResult {
  const { world = "two weeks of m-mid", policy = "flotilla", seed = 1 } = run;
  const { bucketCount = 2_016, functionCount = 20 } = run;
  const kind = POLICIES.find((known) => known.policy === policy) ?? POLICIES[0];
  if (kind === undefined) throw new Error("no policy is known");
  const rng = createRng(`made-up ${seed}`);
  const busy = busyGpus(bucketCount, rng.fork("demand"));
  const timeline = timelineOf(busy, kind, rng.fork(policy));
  const cost = costOf(timeline);
  const bucketSeconds = BUCKET_MS / 1_000;
  const inputs = Math.round((sum(busy) * bucketSeconds) / SERVICE_SECONDS);
  const functions = functionsOf(functionCount, inputs, kind);
  return {
    world,
    policy,
    seed,
    fromMs: 0,
    untilMs: bucketCount * BUCKET_MS,
    inputs,
    events: inputs * 5,
    cost,
    gpu: {
      usefulGpuSeconds: Math.round(sum(busy) * bucketSeconds * 0.997),
      heldGpuSeconds: Math.round(sum(timeline.heldGpus) * bucketSeconds),
      paidGpuSeconds: Math.round(sum(timeline.paidGpus) * bucketSeconds),
      lostGpuSeconds: Math.round(sum(busy) * bucketSeconds * 0.003 * kind.spotFraction),
    },
    waits: waitsOf(inputs, kind.waitP99Ms * (1 + 0.05 * seed), 0.018),
    functions,
    badWindowFraction: kind.waitP99Ms / 30_000,
    fleet: fleetOf(bucketCount, kind, seed),
    plans: plansOf(bucketCount, kind, seed),
    bounds: boundsOf(inputs),
    timeline,
  };
}

function busyGpus(bucketCount: number, rng: Rng): readonly number[] {
  let drift = 0;
  return Array.from({ length: bucketCount }, (_, bucket) => {
    const day = (bucket * BUCKET_MS) / (24 * MS_PER_HOUR);
    drift = 0.94 * drift + 0.12 * (rng.next() - 0.5);
    const daily = 0.55 + 0.25 * Math.sin(2 * Math.PI * (day - 0.3));
    const weekly = Math.floor(day) % 7 >= 5 ? 0.75 : 1;
    return Math.round(PEAK_GPUS * Math.min(1, Math.max(0.05, daily * weekly * (1 + drift))));
  });
}

function timelineOf(busy: readonly number[], kind: MadeUpPolicy, rng: Rng): Timeline {
  const paid = busy.map((_, bucket) => {
    const recent = Math.max(...busy.slice(Math.max(0, bucket - 2), bucket + 1));
    return kind.isStatic ? PEAK_GPUS : Math.ceil((recent * kind.overhead + 8) / 8) * 8;
  });
  const ready = paid.map((gpus, bucket) =>
    Math.max(busy[bucket] ?? 0, kind.isStatic ? gpus : gpus - 8 - 16 * rng.next()),
  );
  return {
    bucketMs: BUCKET_MS,
    offeredGpus: busy.map((gpus) => gpus * (0.99 + 0.03 * rng.next())),
    busyGpus: busy,
    heldGpus: busy.map((gpus, bucket) => Math.min(ready[bucket] ?? gpus, gpus * 1.05)),
    readyGpus: ready,
    paidGpus: paid,
    bufferGpus: busy.map((gpus) => gpus * 0.09 + 12),
    slotWaitP99Ms: busy.map(() => waitOfBucket(kind, rng)),
    queued: busy.map((gpus) => Math.round(gpus * 0.01 * rng.next())),
    costByOffer: costByOffer(paid, kind),
  };
}

function waitOfBucket(kind: MadeUpPolicy, rng: Rng): number {
  const surprise = rng.next();
  if (surprise < 0.04) return kind.waitP99Ms * (2 + 12 * rng.next());
  return surprise < 0.45 ? 0 : kind.waitP99Ms * rng.next();
}

function costByOffer(paid: readonly number[], kind: MadeUpPolicy): Timeline["costByOffer"] {
  const lines = OFFERS.map(([offerId, , usdPerHour, weight], index) => {
    const isSpot = offerId.endsWith("/spot");
    const fraction = (isSpot ? kind.spotFraction : 1 - kind.spotFraction) * weight;
    const costs = paid.map((gpus, bucket) => {
      const sway = 1 + 0.5 * Math.sin(bucket / (90 + 25 * index) + index);
      return Math.round(((gpus * fraction * sway * BUCKET_MS) / MS_PER_HOUR) * usdPerHour * 1e6);
    });
    return [offerId, costs] as const;
  });
  return Object.fromEntries(lines.filter(([, costs]) => costs.some((cost) => cost > 0)));
}

function costOf({ costByOffer: lines }: Timeline): CostReport {
  const totals = Object.entries(lines).map(([offerId, costs]) => ({
    offerId,
    parts: offerId.split("/"),
    microUsd: sum(costs),
  }));
  const by = (keyOf: (total: (typeof totals)[number]) => string): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const total of totals) {
      sums[keyOf(total)] = (sums[keyOf(total)] ?? 0) + total.microUsd;
    }
    return sums;
  };
  return {
    paidMicroUsd: sum(totals.map(({ microUsd }) => microUsd)),
    byOffer: by(({ offerId }) => offerId),
    byCloud: by(({ parts }) => parts[0] ?? ""),
    byRegion: by(({ parts }) => `${parts[0] ?? ""}/${parts[1] ?? ""}`),
    byGpuType: by(({ offerId }) => OFFERS.find(([id]) => id === offerId)?.[1] ?? ""),
    byPurchase: by(({ parts }) => parts[4] ?? ""),
  };
}

function functionsOf(count: number, inputs: number, kind: MadeUpPolicy): readonly FunctionReport[] {
  const weights = Array.from({ length: count }, (_, rank) => 1 / (rank + 1));
  return weights.map((weight, rank) => {
    const own = Math.round((inputs * weight) / sum(weights));
    const coldStartFraction = Math.min(0.3, 0.005 * (rank + 1));
    return {
      functionId: `function-${String(rank + 1).padStart(2, "0")}`,
      inputs: own,
      containerStarts: Math.round(own * coldStartFraction),
      evictions: Math.round(own * coldStartFraction * 0.4),
      ...waitsOf(own, kind.waitP99Ms * (0.8 + 0.05 * rank), coldStartFraction),
    };
  });
}

function waitsOf(inputs: number, p99Ms: number, coldStartFraction: number) {
  return {
    slot: quantiles(inputs, p99Ms),
    firstInstruction: quantiles(inputs, p99Ms + 4_200 * Math.min(1, coldStartFraction * 20)),
    missFraction: Math.min(1, p99Ms / 250_000),
    coldStartFraction,
  };
}

function quantiles(count: number, p99Ms: number): TimeQuantiles {
  return {
    count,
    meanMs: p99Ms / 12,
    p50Ms: 0,
    p90Ms: p99Ms / 9,
    p99Ms,
    p999Ms: p99Ms * 6.5,
    maxMs: p99Ms * 40,
  };
}

function fleetOf(bucketCount: number, kind: MadeUpPolicy, seed: number) {
  const launches = kind.isStatic ? 140 : Math.round((bucketCount / 6) * 350 * kind.overhead);
  const reclaims = Math.round(launches * 0.04 * kind.spotFraction) + seed * 3;
  return {
    launches,
    launchFailures: Math.round(launches * 0.01),
    refusals: Math.round(launches * 0.006),
    reclaims: kind.spotFraction === 0 ? 0 : reclaims,
    releases: launches - 90,
    nodesMax: Math.round((PEAK_GPUS * kind.overhead) / 8),
    retries: kind.spotFraction === 0 ? 0 : reclaims * 6,
    unserved: 0,
  };
}

function plansOf(bucketCount: number, kind: MadeUpPolicy, seed: number) {
  const hasPlanner = kind.policy === "flotilla";
  return {
    plans: hasPlanner ? bucketCount * 60 : 0,
    fallbacks: hasPlanner ? 3 + seed : 0,
    meanGapFraction: hasPlanner ? 0.0021 + 0.0002 * seed : 0,
    unmetContainerHours: hasPlanner ? 1.5 * seed : 0,
  };
}

function boundsOf(inputs: number) {
  const hours = (inputs * SERVICE_SECONDS) / 3_600;
  const b0MicroUsd = Math.round(hours * 4.3 * 1e6);
  return { b0MicroUsd, b60MicroUsd: Math.round(b0MicroUsd * 1.031) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
