/**
 * The potential of a node: GPUs on it that nobody will use, in three parts (default.ts says
 * what they mean). Evaluated a few times for each placement, so it allocates nothing and looks
 * at each card once: what a share changes depends on its own card alone, but for the idle GPUs
 * of the node, which it takes from whatever card it sits on.
 */
import type { GpuType } from "../../../core/index.ts";
import type { DemandMix } from "../../demand.ts";
import type { NodeState } from "../../fleet/node-state.ts";
import { CARD, type RequestClass } from "../../fleet/request-class.ts";
import { FragmentationTable, type WeightedClass } from "../fragmentation.ts";
import { within } from "../strategy.ts";
import { normalLoss } from "./normal-loss.ts";
import { remainderWaste } from "./remainder.ts";

/** What one GPU of each part counts. */
export const PART_WEIGHTS = { stranded: 3.4, fragmented: 0.285, wasted: 1.46 } as const;

/** GPUs by part, not weighted. */
export type PotentialParts = Readonly<Record<keyof typeof PART_WEIGHTS, number>>;

/** The growth of a potential is within this of 0. */
export const GROWTH_MAX = 512;

/** Mean and deviation of what idle GPUs will ask, in parts of the demand's mean per GPU. */
const ASKED = { cpuMean: 0.87, memoryMean: 0.6, deviation: 0.45 } as const;
/** What a class counts in the fragmentation: a share, and on top of 1 each whole GPU. */
const CLASS_WEIGHTS = { share: 3.7, perWholeGpu: 0.8 } as const;
const MILLI = 1_000;

export class Potential {
  readonly #classes: readonly WeightedClass[];
  readonly #waste: Float64Array;
  readonly #cpuPerGpu: number;
  readonly #memoryPerGpu: number;
  readonly #tables = new Map<GpuType | undefined, FragmentationTable>();
  /** The parts of the last potential computed. */
  readonly #parts = { stranded: 0, fragmented: 0, wasted: 0 };
  /** The card of the last share looked at. */
  #bestCard = 0;

  constructor(mix: DemandMix) {
    const gpuMix = mix.filter(({ request }) => request.gpuCount > 0);
    const sum = (amount: (request: RequestClass) => number): number =>
      gpuMix.reduce((total, { request, fraction }) => total + fraction * amount(request), 0);
    const requests = sum(() => 1);
    const gpus = Math.max(
      sum((request) => request.gpuCount),
      Number.MIN_VALUE,
    );
    this.#cpuPerGpu = Math.max(1, sum((request) => request.cpuMilli) / gpus);
    this.#memoryPerGpu = Math.max(1, sum((request) => request.memoryMiB) / gpus);
    this.#waste = remainderWaste(gpuMix);
    this.#classes = gpuMix.map((share) => ({
      share,
      weight: (share.fraction / requests) * classWeight(share.request),
    }));
  }

  /** How much the potential grows, weighted, when the container moves in where it hurts least. */
  growth(request: RequestClass, state: NodeState): number {
    const grown = this.#after(request, state) - this.#before(state);
    return within(grown, -GROWTH_MAX, GROWTH_MAX);
  }

  /** Place in `state.cards` where a share hurts least, the fullest card when several do. */
  bestCard(request: RequestClass, state: NodeState): number {
    this.#withShare(request, state);
    return this.#bestCard;
  }

  /** How much each part grows. */
  partsGrown(request: RequestClass, state: NodeState): PotentialParts {
    this.#without(state, NOTHING);
    const before = { ...this.#parts };
    this.#after(request, state);
    const { stranded, fragmented, wasted } = this.#parts;
    return {
      stranded: stranded - before.stranded,
      fragmented: fragmented - before.fragmented,
      wasted: wasted - before.wasted,
    };
  }

  #before(state: NodeState): number {
    if (state.memoOwner !== this) {
      state.memoOwner = this;
      state.memoValue = this.#without(state, NOTHING);
    }
    return state.memoValue;
  }

  #after(request: RequestClass, state: NodeState): number {
    return request.share > 0 ? this.#withShare(request, state) : this.#without(state, request);
  }

  /** The potential once CPU, memory and whole cards have been taken. */
  #without(
    state: NodeState,
    taken: Pick<RequestClass, "cpuMilli" | "memoryMiB" | "cardCount">,
  ): number {
    const table = this.#tableOf(state.profile.node.gpuType);
    const row = table.rowOf(state.cpuMilli - taken.cpuMilli);
    const idle = state.gpuFree / CARD - taken.cardCount;
    this.#sumCards(state, { table, row, from: taken.cardCount });
    this.#parts.fragmented += table.ofNode(row, idle, state.wholeFree - taken.cardCount);
    return this.#total(state, taken, idle);
  }

  /** The potential once the share sits on its best card. */
  #withShare(request: RequestClass, state: NodeState): number {
    const { cards, wholeFree } = state;
    const table = this.#tableOf(state.profile.node.gpuType);
    const row = table.rowOf(state.cpuMilli - request.cpuMilli);
    const idle = (state.gpuFree - request.share) / CARD;
    const whole = table.ofNode(row, idle, wholeFree);
    let least = Number.POSITIVE_INFINITY;
    let fragmented = 0;
    let wasted = 0;
    for (let at = cards.length - 1; at >= 0; at -= 1) {
      const free = cards[at] ?? 0;
      if (free < request.share || free === cards[at + 1]) continue;
      const left = free - request.share;
      const ofNode = free === CARD ? table.ofNode(row, idle, wholeFree - 1) : whole;
      const more = ofNode + table.ofCard(row, left) - table.ofCard(row, free);
      const moreWasted = this.#wasteOf(left) - this.#wasteOf(free);
      const cost = PART_WEIGHTS.fragmented * more + PART_WEIGHTS.wasted * moreWasted;
      if (cost >= least) continue;
      least = cost;
      this.#bestCard = at;
      fragmented = more;
      wasted = moreWasted;
    }
    this.#sumCards(state, { table, row, from: 0 });
    this.#parts.fragmented += fragmented;
    this.#parts.wasted += wasted;
    return this.#total(state, request, idle);
  }

  /** What the cards from `from` on add, each by itself. */
  #sumCards(
    { cards }: NodeState,
    { table, row, from }: { table: FragmentationTable; row: number; from: number },
  ): void {
    let fragmented = 0;
    let wasted = 0;
    for (let at = from; at < cards.length; at += 1) {
      const free = cards[at] ?? 0;
      if (free <= 0) break;
      fragmented += table.ofCard(row, free);
      wasted += this.#wasteOf(free);
    }
    this.#parts.fragmented = fragmented;
    this.#parts.wasted = wasted;
  }

  #total(
    state: NodeState,
    taken: Pick<RequestClass, "cpuMilli" | "memoryMiB">,
    idle: number,
  ): number {
    const parts = this.#parts;
    parts.stranded = 0;
    if (idle > 0) {
      const cpu = (state.cpuMilli - taken.cpuMilli) / this.#cpuPerGpu;
      const memory = (state.memoryMiB - taken.memoryMiB) / this.#memoryPerGpu;
      const deviation = ASKED.deviation * Math.sqrt(idle);
      const byCpu = shortfall(cpu - ASKED.cpuMean * idle, deviation) / ASKED.cpuMean;
      const byMemory = shortfall(memory - ASKED.memoryMean * idle, deviation) / ASKED.memoryMean;
      parts.stranded = Math.max(byCpu, byMemory);
    }
    return (
      PART_WEIGHTS.stranded * parts.stranded +
      PART_WEIGHTS.fragmented * parts.fragmented +
      PART_WEIGHTS.wasted * parts.wasted
    );
  }

  /** GPUs of a card's remainder that will not be filled; whole cards have none. */
  #wasteOf(free: number): number {
    return this.#waste[(free / MILLI) | 0] ?? 0;
  }

  #tableOf(gpuType: GpuType | undefined): FragmentationTable {
    const known = this.#tables.get(gpuType);
    if (known !== undefined) return known;
    const table = new FragmentationTable(gpuType, this.#classes);
    this.#tables.set(gpuType, table);
    return table;
  }
}

const NOTHING = { cpuMilli: 0, memoryMiB: 0, cardCount: 0 } as const;

/** What is missed on average when `spare` is left over the mean; negative means short of it. */
function shortfall(spare: number, deviation: number): number {
  return deviation * normalLoss(spare / deviation);
}

function classWeight(request: RequestClass): number {
  if (request.share > 0) return CLASS_WEIGHTS.share;
  return 1 + CLASS_WEIGHTS.perWholeGpu * request.gpuCount;
}
