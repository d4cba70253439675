/**
 * Fragmentation: the idle GPU of a node that a request drawn from the demand could not use.
 *
 *     F(node) = sum over classes m of w_m * (
 *         all idle GPU                       if the node's GPU type, CPU or cards shut m out,
 *         idle GPU on cards with less than m wants   otherwise)
 *
 * Source: Q. Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
 * Fragmentation Gradient Descent", USENIX ATC 2023, section 3.
 *
 * Classes of one GPU type are summed up beforehand by CPU (rows) and by share (columns), so
 * that one value costs O(cards + log rows), however many classes there are.
 */
import type { GpuType } from "../../core/index.ts";
import type { DemandShare } from "../demand.ts";
import { CARD } from "../fleet/request-class.ts";

/** A class and what it counts. */
export interface WeightedClass {
  readonly share: DemandShare;
  /** >= 0; only relative sizes matter to the gradient. */
  readonly weight: number;
}

/** Rows kept; more CPU sizes than that are rounded up to one of them. */
const ROW_COUNT_MAX = 128;
const WHOLE_COUNT_MAX = 16;
const MILLI = 1_000;
const CARD_MILLI = CARD / MILLI;

/** Sums of one GPU type. */
export class FragmentationTable {
  /** CPU sizes in rising order; row r holds what fits with `cpuSizes[r - 1]` and no more. */
  readonly #cpuSizes: readonly number[];
  /** By millis free on a card: how many of the share sizes it holds. */
  readonly #column = new Uint16Array(CARD_MILLI + 1);
  readonly #columnCount: number;
  /** [row]: weight of what is shut out by type or CPU. */
  readonly #shutOut: Float64Array;
  /** [row, column]: weight of shares that fit by CPU but not on a card of that column. */
  readonly #tooLarge: Float64Array;
  /** [row, whole free cards]: weight of whole-GPU classes that fit. */
  readonly #wholes: Float64Array;

  constructor(gpuType: GpuType | undefined, classes: readonly WeightedClass[]) {
    const open = classes.filter(({ share }) => isOpenTo(share, gpuType));
    const sizes = [...new Set(open.map(({ share }) => share.request.cpuMilli))];
    this.#cpuSizes = thinned(sizes.sort((a, b) => a - b));
    const needs = [...new Set(open.map(needMilli).filter((need) => need > 0))];
    needs.sort((a, b) => a - b);
    for (let milli = 0; milli <= CARD_MILLI; milli += 1) {
      this.#column[milli] = needs.filter((need) => need <= milli).length;
    }
    this.#columnCount = needs.length + 1;
    const rowCount = this.#cpuSizes.length + 1;
    const total = classes.reduce((sum, { weight }) => sum + weight, 0);
    this.#shutOut = new Float64Array(rowCount).fill(total);
    this.#tooLarge = new Float64Array(rowCount * this.#columnCount);
    this.#wholes = new Float64Array(rowCount * (WHOLE_COUNT_MAX + 1));
    for (const one of open) this.#sumUp(one, needs);
  }

  /** Row of the classes that fit with this much CPU. */
  rowOf(cpuMilli: number): number {
    let low = 0;
    let high = this.#cpuSizes.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#cpuSizes[middle] ?? 0) <= cpuMilli) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What a card with `free` millionths adds to the fragmentation, in GPUs. */
  ofCard(row: number, free: number): number {
    if (free <= 0) return 0;
    const column = this.#column[(free / MILLI) | 0] ?? 0;
    return (free / CARD) * (this.#tooLarge[row * this.#columnCount + column] ?? 0);
  }

  /** What a node with `idle` GPUs, `wholeFree` of them whole, adds on top of its cards. */
  ofNode(row: number, idle: number, wholeFree: number): number {
    const base = row * (WHOLE_COUNT_MAX + 1);
    const all = this.#wholes[base + WHOLE_COUNT_MAX] ?? 0;
    const fit = this.#wholes[base + Math.min(wholeFree, WHOLE_COUNT_MAX)] ?? 0;
    return idle * ((this.#shutOut[row] ?? 0) + all) - fit * wholeFree;
  }

  #sumUp(one: WeightedClass, needs: readonly number[]): void {
    const { cardCount, cpuMilli } = one.share.request;
    const need = needMilli(one);
    for (let row = this.rowOf(cpuMilli - 1) + 1; row < this.#shutOut.length; row += 1) {
      if (need > 0) {
        this.#shutOut[row] = (this.#shutOut[row] ?? 0) - one.weight;
        for (let column = 0; column <= needs.indexOf(need); column += 1) {
          const at = row * this.#columnCount + column;
          this.#tooLarge[at] = (this.#tooLarge[at] ?? 0) + one.weight;
        }
      } else {
        this.#shutOut[row] = (this.#shutOut[row] ?? 0) - one.weight;
        for (let whole = cardCount; whole <= WHOLE_COUNT_MAX; whole += 1) {
          const at = row * (WHOLE_COUNT_MAX + 1) + whole;
          this.#wholes[at] = (this.#wholes[at] ?? 0) + one.weight;
        }
      }
    }
  }
}

/** Classes without GPUs can use no idle GPU and are open to no type. */
function isOpenTo({ request }: DemandShare, gpuType: GpuType | undefined): boolean {
  if (gpuType === undefined || request.gpuCount === 0) return false;
  return request.preferenceOf?.has(gpuType) ?? false;
}

function needMilli({ share }: WeightedClass): number {
  return Math.ceil(share.request.share / MILLI);
}

function thinned(sizes: readonly number[]): readonly number[] {
  if (sizes.length <= ROW_COUNT_MAX) return sizes;
  const step = sizes.length / ROW_COUNT_MAX;
  return Array.from(
    { length: ROW_COUNT_MAX },
    (_, row) => sizes[Math.ceil((row + 1) * step) - 1] ?? Number.POSITIVE_INFINITY,
  );
}
