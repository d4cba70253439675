/** Collects what a run reports, as it happens. */
import { MS_PER_HOUR, MS_PER_SECOND, type Offer } from "../../core/index.ts";
import { MISS_WAIT_MS, type CostReport, type GpuReport, type Timeline } from "../result.ts";
import type { FunctionState } from "./function-state.ts";
import type { Machine } from "./machine.ts";
import { costOf } from "./market.ts";
import { TimeHistogram, type TimeHistogramState } from "./time-histogram.ts";

/** The fleet at one moment, in GPUs. */
export interface Sample {
  readonly busyGpus: number;
  readonly heldGpus: number;
  readonly readyGpus: number;
  readonly paidGpus: number;
  readonly queued: number;
}

interface GpuSums {
  useful: number;
  held: number;
  paid: number;
  lost: number;
}

interface Sums {
  busy: number;
  held: number;
  ready: number;
  paid: number;
  queued: number;
  buffer: number;
  count: number;
}

type Lists = Record<"busy" | "held" | "ready" | "paid" | "queued" | "buffer" | "p99", number[]>;

/** What was collected so far. Plain data. */
export interface RecorderState {
  readonly slotWaits: TimeHistogramState;
  readonly firstWaits: TimeHistogramState;
  readonly bucketWaits: TimeHistogramState;
  readonly gpu: GpuSums;
  readonly counts: readonly [number, number, number, number, number, number, number];
  readonly windowInputs: Float64Array<ArrayBuffer>;
  readonly windowMissed: Float64Array<ArrayBuffer>;
  readonly cost: Map<string, { readonly offer: Offer; micro: number }>;
  readonly costSeries: Map<string, Float64Array<ArrayBuffer>>;
  readonly sums: Sums;
  readonly lists: Lists;
}

const BUCKET_COUNT_AIM = 2_016;
const BUCKET_MS_MIN = 60 * MS_PER_SECOND;
/** More than this share of misses makes a window bad: its p99 is then over the limit. */
const BAD_FRACTION = 0.01;

export class Recorder {
  readonly slotWaits = new TimeHistogram();
  readonly firstWaits = new TimeHistogram();
  gpu: GpuSums = { useful: 0, held: 0, paid: 0, lost: 0 };
  retries = 0;
  nodesMax = 0;
  missed = 0;
  coldInputs = 0;
  /** Since the planner's last look, at the moment when slots were given. */
  startedSinceLook = 0;
  missedSinceLook = 0;
  bufferGpus = 0;
  readonly #bucketMs: number;
  readonly #windowMs: number;
  #windowInputs: Float64Array<ArrayBuffer>;
  #windowMissed: Float64Array<ArrayBuffer>;
  #cost = new Map<string, { readonly offer: Offer; micro: number }>();
  #costSeries = new Map<string, Float64Array<ArrayBuffer>>();
  #sums: Sums = { busy: 0, held: 0, ready: 0, paid: 0, queued: 0, buffer: 0, count: 0 };
  #lists: Lists = { busy: [], held: [], ready: [], paid: [], queued: [], buffer: [], p99: [] };
  readonly #bucketWaits = new TimeHistogram();
  readonly #bucketCount: number;

  constructor(durationMs: number, windowMs: number) {
    this.#windowMs = windowMs;
    const wish = Math.ceil(durationMs / BUCKET_COUNT_AIM / BUCKET_MS_MIN) * BUCKET_MS_MIN;
    this.#bucketMs = Math.max(BUCKET_MS_MIN, wish);
    this.#bucketCount = Math.ceil(durationMs / this.#bucketMs);
    const windowCount = Math.ceil(durationMs / windowMs) + 1;
    this.#windowInputs = new Float64Array(windowCount);
    this.#windowMissed = new Float64Array(windowCount);
  }

  /** What was collected so far, by reference. */
  save(): RecorderState {
    return {
      slotWaits: this.slotWaits.save(),
      firstWaits: this.firstWaits.save(),
      bucketWaits: this.#bucketWaits.save(),
      gpu: this.gpu,
      counts: [
        this.retries,
        this.nodesMax,
        this.missed,
        this.coldInputs,
        this.startedSinceLook,
        this.missedSinceLook,
        this.bufferGpus,
      ],
      windowInputs: this.#windowInputs,
      windowMissed: this.#windowMissed,
      cost: this.#cost,
      costSeries: this.#costSeries,
      sums: this.#sums,
      lists: this.#lists,
    };
  }

  /** Takes the place of what was collected. */
  resume(state: RecorderState): void {
    this.slotWaits.resume(state.slotWaits);
    this.firstWaits.resume(state.firstWaits);
    this.#bucketWaits.resume(state.bucketWaits);
    this.gpu = state.gpu;
    [
      this.retries,
      this.nodesMax,
      this.missed,
      this.coldInputs,
      this.startedSinceLook,
      this.missedSinceLook,
      this.bufferGpus,
    ] = state.counts;
    this.#windowInputs = state.windowInputs;
    this.#windowMissed = state.windowMissed;
    this.#cost = state.cost;
    this.#costSeries = state.costSeries;
    this.#sums = state.sums;
    this.#lists = state.lists;
  }

  get bucketMs(): number {
    return this.#bucketMs;
  }

  /** An input was given a slot; its wait so far. */
  slotGiven(waitedMs: number): void {
    this.startedSinceLook += 1;
    if (waitedMs > MISS_WAIT_MS) this.missedSinceLook += 1;
    this.#bucketWaits.add(waitedMs);
  }

  /** An input is done, or never will be: its final waits. */
  inputDone(
    owner: FunctionState,
    arrivedMs: number,
    slotWaitMs: number,
    firstWaitMs: number,
  ): void {
    this.slotWaits.add(slotWaitMs);
    this.firstWaits.add(firstWaitMs);
    owner.slotWaits.add(slotWaitMs);
    owner.firstWaits.add(firstWaitMs);
    const window = Math.floor(arrivedMs / this.#windowMs);
    this.#windowInputs[window] = (this.#windowInputs[window] ?? 0) + 1;
    if (slotWaitMs <= MISS_WAIT_MS) return;
    this.missed += 1;
    owner.missed += 1;
    this.#windowMissed[window] = (this.#windowMissed[window] ?? 0) + 1;
  }

  /** A machine was paid for. */
  bill(machine: Machine, fromMs: number, untilMs: number): void {
    const { offerId, resources } = machine.offer;
    const micro = costOf(machine, fromMs, untilMs);
    this.gpu.paid += (resources.gpuCount * (untilMs - fromMs)) / MS_PER_SECOND;
    const known = this.#cost.get(offerId);
    if (known === undefined) this.#cost.set(offerId, { offer: machine.offer, micro });
    else known.micro += micro;
    this.#spread(offerId, machine.priceMicroUsdPerHour, fromMs, untilMs);
  }

  /** The fleet now; samples are taken at equal distances. */
  sample({ busyGpus, heldGpus, readyGpus, paidGpus, queued }: Sample): void {
    const sums = this.#sums;
    sums.busy += busyGpus;
    sums.held += heldGpus;
    sums.ready += readyGpus;
    sums.paid += paidGpus;
    sums.queued += queued;
    sums.buffer += this.bufferGpus;
    sums.count += 1;
  }

  /** Ends a bucket of the timeline, if there is anything in it. */
  endBucket(): void {
    const { count, ...sums } = this.#sums;
    if (count === 0) return;
    const lists = this.#lists;
    for (const name of ["busy", "held", "ready", "paid", "queued", "buffer"] as const) {
      lists[name].push(sums[name] / count);
      this.#sums[name] = 0;
    }
    this.#sums.count = 0;
    lists.p99.push(this.#bucketWaits.quantileMs(0.99));
    this.#bucketWaits.clear();
  }

  get badWindowFraction(): number {
    let bad = 0;
    let seen = 0;
    for (const [window, inputs] of this.#windowInputs.entries()) {
      if (inputs === 0) continue;
      seen += 1;
      if ((this.#windowMissed[window] ?? 0) > BAD_FRACTION * inputs) bad += 1;
    }
    return seen === 0 ? 0 : bad / seen;
  }

  costReport(): CostReport {
    const sums = {
      byOffer: new Map<string, number>(),
      byCloud: new Map<string, number>(),
      byRegion: new Map<string, number>(),
      byGpuType: new Map<string, number>(),
      byPurchase: new Map<string, number>(),
    };
    let paidMicroUsd = 0;
    for (const [offerId, { offer, micro }] of [...this.#cost].sort(byKey)) {
      const { cloud, region, gpuType = "none", purchase } = offer;
      paidMicroUsd += micro;
      const keys = { byOffer: offerId, byCloud: cloud, byRegion: `${cloud}/${region}` };
      const all = { ...keys, byGpuType: gpuType, byPurchase: purchase };
      for (const name of ["byOffer", "byCloud", "byRegion", "byGpuType", "byPurchase"] as const) {
        sums[name].set(all[name], (sums[name].get(all[name]) ?? 0) + micro);
      }
    }
    return {
      paidMicroUsd,
      byOffer: Object.fromEntries(sums.byOffer),
      byCloud: Object.fromEntries(sums.byCloud),
      byRegion: Object.fromEntries(sums.byRegion),
      byGpuType: Object.fromEntries(sums.byGpuType),
      byPurchase: Object.fromEntries(sums.byPurchase),
    };
  }

  gpuReport(): GpuReport {
    const { useful, held, paid, lost } = this.gpu;
    return {
      usefulGpuSeconds: useful,
      heldGpuSeconds: held,
      paidGpuSeconds: paid,
      lostGpuSeconds: lost,
    };
  }

  timeline(offeredIn: (bucketCount: number) => readonly number[]): Timeline {
    const { busy, held, ready, paid, queued, buffer, p99 } = this.#lists;
    return {
      bucketMs: this.#bucketMs,
      offeredGpus: offeredIn(busy.length),
      busyGpus: busy,
      heldGpus: held,
      readyGpus: ready,
      paidGpus: paid,
      bufferGpus: buffer,
      slotWaitP99Ms: p99,
      queued,
      costByOffer: Object.fromEntries(
        [...this.#costSeries].sort(byKey).map(([offerId, series]) => [offerId, [...series]]),
      ),
    };
  }

  #spread(offerId: string, pricePerHour: number, fromMs: number, untilMs: number): void {
    let series = this.#costSeries.get(offerId);
    if (series === undefined) {
      series = new Float64Array(this.#bucketCount);
      this.#costSeries.set(offerId, series);
    }
    for (let atMs = fromMs; atMs < untilMs;) {
      const bucket = Math.floor(atMs / this.#bucketMs);
      const endMs = Math.min(untilMs, (bucket + 1) * this.#bucketMs);
      series[bucket] = (series[bucket] ?? 0) + (pricePerHour * (endMs - atMs)) / MS_PER_HOUR;
      atMs = endMs;
    }
  }
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : Number(a > b);
}
