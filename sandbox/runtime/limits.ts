/** What a sandbox may use, and how soon it is ended when its machine runs short: pure. */
import type { ResourceLimits, Resources } from "../../core/index.ts";

/** A sandbox may use this much of idle cores, however little it reserved, unless it says less. */
export const CPU_BURST_MILLI = 2_000;

const OOM_SCORE_MAX = 1_000;
/** The scores beside 0 and 1000, which have meanings of their own. */
const OOM_SCORES_OF_SANDBOXES = { lowest: 2, highest: 999 } as const;

/** What is reserved, and most that may be used. */
export interface Sized {
  readonly resources: Pick<Resources, "cpuMilli" | "memoryMiB">;
  readonly limits?: ResourceLimits;
}

/** Most memory that the processes in a sandbox may hold. */
export function memoryMaxMiB({ resources, limits }: Sized): number {
  return Math.max(resources.memoryMiB, limits?.memoryMiB ?? 0);
}

/** Most cores that it may use, in thousandths, while others leave them idle. */
export function cpuMaxMilli({ resources: { cpuMilli }, limits }: Sized): number {
  return Math.max(cpuMilli, limits?.cpuMilli ?? CPU_BURST_MILLI);
}

/** Limits of a container on a node of this size: nothing may use more than there is. */
export function limitsOn(
  node: Pick<Resources, "cpuMilli" | "memoryMiB">,
  { cpuMilli = Infinity, memoryMiB = Infinity }: ResourceLimits = {},
): { readonly limits?: ResourceLimits } {
  const limits = {
    ...(cpuMilli === Infinity ? {} : { cpuMilli: Math.min(cpuMilli, node.cpuMilli) }),
    ...(memoryMiB === Infinity ? {} : { memoryMiB: Math.min(memoryMiB, node.memoryMiB) }),
  };
  return Object.keys(limits).length === 0 ? {} : { limits };
}

/**
 * The `oom_score_adj` of a sandbox: 1000 less the thousandths of its machine that it reserves.
 *
 * The kernel adds the thousandths that it holds and ends the process with the largest sum: one
 * that holds more than it reserves is above 1000 and goes first, before all that keep to what
 * they reserve. Source: proc_pid_oom_score_adj(5); so do Kubernetes' burstable pods.
 */
export function oomScoreOf(reservedMiB: number, machineMiB: number): number {
  const { lowest, highest } = OOM_SCORES_OF_SANDBOXES;
  const score = Math.ceil(OOM_SCORE_MAX - (OOM_SCORE_MAX * reservedMiB) / machineMiB);
  return Math.min(highest, Math.max(lowest, score));
}
