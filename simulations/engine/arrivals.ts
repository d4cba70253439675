/**
 * When inputs come and for which function: a renewal process in operational time.
 *
 * Gaps with mean 1 and the world's coefficient of variation are laid on the integral of the sum
 * of all rates, so the process follows the trace exactly; which function an input is for is drawn
 * in proportion to the rates of that moment. With a coefficient of 1 each function's arrivals are
 * a Poisson process of their own.
 */
import type { Rng, RngState } from "../../core/index.ts";
import type { DemandTrace } from "../traces/trace.ts";
import { gapDraws, type Draws, type DrawsState } from "../chance.ts";

/** Arrivals that were written down. Plain data. */
export interface ArrivalsState {
  readonly gap: DrawsState;
  readonly pick: RngState;
  readonly sums: Float64Array<ArrayBuffer>;
  readonly step: number;
  readonly stepEndMs: number;
  readonly nowMs: number;
  readonly nextMs: number;
}

export class Arrivals {
  readonly #trace: DemandTrace;
  readonly #gap: Draws;
  readonly #pick: Rng;
  readonly #stepCount: number;
  /** Sums of the rates of the first functions in the present step. */
  #sums: Float64Array<ArrayBuffer>;
  #step = -1;
  #stepEndMs = 0;
  #nowMs = 0;
  #nextMs: number;

  constructor(trace: DemandTrace, rng: Rng, cv: number) {
    this.#trace = trace;
    this.#gap = gapDraws(rng.fork("gaps"), cv);
    this.#pick = rng.fork("functions");
    this.#stepCount = trace.series[0]?.perSecond.length ?? 0;
    this.#sums = new Float64Array(trace.series.length);
    this.#nextMs = this.#advance();
  }

  /** When the next input comes; `Infinity` after the end of the trace. */
  get nextMs(): number {
    return this.#nextMs;
  }

  /** Takes the next input: the index of its function. */
  take(): number {
    const index = this.#drawFunction();
    this.#nextMs = this.#advance();
    return index;
  }

  /** Where they are, by reference. */
  save(): ArrivalsState {
    return {
      gap: this.#gap.save(),
      pick: this.#pick.save(),
      sums: this.#sums,
      step: this.#step,
      stepEndMs: this.#stepEndMs,
      nowMs: this.#nowMs,
      nextMs: this.#nextMs,
    };
  }

  /** Goes on from there. */
  resume(state: ArrivalsState): void {
    this.#gap.resume(state.gap);
    this.#pick.resume(state.pick);
    this.#sums = state.sums;
    this.#step = state.step;
    this.#stepEndMs = state.stepEndMs;
    this.#nowMs = state.nowMs;
    this.#nextMs = state.nextMs;
  }

  #drawFunction(): number {
    const sums = this.#sums;
    let low = 0;
    let high = sums.length - 1;
    if (high === 0) return 0;
    const drawn = this.#pick.next() * (sums[high] ?? 0);
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) > drawn) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #advance(): number {
    let left = this.#gap();
    for (;;) {
      const perMs = (this.#sums.at(-1) ?? 0) / 1_000;
      const roomMs = this.#stepEndMs - this.#nowMs;
      if (left <= perMs * roomMs && roomMs > 0) {
        this.#nowMs += left / perMs;
        return this.#nowMs;
      }
      left -= perMs * roomMs;
      if (!this.#beginStep()) return Infinity;
    }
  }

  #beginStep(): boolean {
    this.#step += 1;
    if (this.#step >= this.#stepCount) return false;
    let sum = 0;
    for (const [index, { perSecond }] of this.#trace.series.entries()) {
      sum += perSecond[this.#step] ?? 0;
      this.#sums[index] = sum;
    }
    this.#nowMs = this.#step * this.#trace.stepMs;
    this.#stepEndMs = this.#nowMs + this.#trace.stepMs;
    return true;
  }
}
