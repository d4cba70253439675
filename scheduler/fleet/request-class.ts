/** What a request asks for, in the units of the index; equal needs share one class. */
import { demandClassKey, type ContainerNeeds, type GpuType } from "../../core/index.ts";

/** Millionths of a card in a whole one: thirds and tenths add up without rounding drift. */
export const CARD = 1_000_000;

/** Needs in whole units; what is not whole is rounded up. */
export interface RequestClass {
  /** Two needs share it exactly when every node treats them alike. */
  readonly key: string;
  readonly needs: ContainerNeeds;
  readonly cpuMilli: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Whole cards wanted; 0 for shares and for work without GPUs. */
  readonly cardCount: number;
  /** Millionths wanted of one card; 0 unless it is a share. */
  readonly share: number;
  /** GPUs wanted in all. */
  readonly gpuCount: number;
  /** Place of each accepted GPU type, 0 for the most wanted; absent without GPUs. */
  readonly preferenceOf: ReadonlyMap<GpuType, number> | undefined;
}

/** The class of `needs`. */
export function requestClassOf(needs: ContainerNeeds): RequestClass {
  const count = needs.gpu?.count ?? 0;
  return {
    key: demandClassKey(needs),
    needs,
    cpuMilli: Math.ceil(needs.cpuMilli),
    memoryMiB: Math.ceil(needs.memoryMiB),
    diskMiB: Math.ceil(needs.diskMiB ?? 0),
    cardCount: wholeCardsOf(count),
    share: shareOf(count),
    gpuCount: count,
    preferenceOf: preferencesOf(needs),
  };
}

/** Millionths of one card that a GPU count asks for; 0 for whole GPUs. */
export function shareOf(gpuCount: number): number {
  return gpuCount > 0 && gpuCount < 1 ? Math.max(1, Math.round(gpuCount * CARD)) : 0;
}

/** Cards that a GPU count takes to itself; a count above 1 that is not whole is rounded up. */
export function wholeCardsOf(gpuCount: number): number {
  return gpuCount >= 1 ? Math.ceil(gpuCount) : 0;
}

function preferencesOf(needs: ContainerNeeds): ReadonlyMap<GpuType, number> | undefined {
  if (needs.gpu === undefined) return undefined;
  const { types, equallyWanted = false } = needs.gpu;
  return new Map(types.map((type, place) => [type, equallyWanted ? 0 : place]));
}
