/** What functions need now, in containers, as autoscalers measure it. */
import { demandClassKey, MS_PER_SECOND, type ContainerNeeds } from "../../core/index.ts";
import type { FunctionLoad } from "../capacity-policy.ts";

/** Containers of one kind. */
export interface WantedContainers {
  readonly needs: ContainerNeeds;
  /** Whole, > 0. */
  readonly count: number;
}

/**
 * Inputs shorter than this are counted by their arrivals, longer ones as they run: arrivals over
 * 20 s say little about work of minutes. Source: the same rule in the study named in `bounds/`.
 */
const COUNTED_BY_ARRIVALS_MS = 30 * MS_PER_SECOND;

/**
 * What waits is to be done within this time: of waiting inputs of 10 s a third counts as load. All
 * of them would order machines for work that is done before they boot. Source: ibid., 0.3.
 */
const DRAIN_MS = 30 * MS_PER_SECOND;

/**
 * Containers that a function keeps busy, a fraction: arrivals * service (Little's law) where that
 * is known and short, else those that run; and backlog * service / `DRAIN_MS`, at most one
 * container for each input that waits.
 */
export function busyContainers(load: FunctionLoad): number {
  const { arrivalsPerSecond, serviceMs = Infinity, running, backlog, concurrency } = load;
  const inputs =
    serviceMs < COUNTED_BY_ARRIVALS_MS ? (arrivalsPerSecond * serviceMs) / MS_PER_SECOND : running;
  return (inputs + backlog * Math.min(1, serviceMs / DRAIN_MS)) / concurrency;
}

/** Fractions of a container below this are noise of smoothed arrivals that ended long ago. */
const NOTHING = 1e-3;

/**
 * The containers of all functions, those with equal needs added up and rounded up once, since they
 * share machines. Sorted so that what is hardest to place comes first: most GPUs, then memory.
 *
 * @param containersOf Containers of one function, a fraction; its floor and limit are kept here.
 * @param extra Containers added to each kind of which any is wanted.
 */
export function wantedContainers(
  functions: readonly FunctionLoad[],
  containersOf: (load: FunctionLoad) => number,
  extra: number,
): readonly WantedContainers[] {
  const sums = new Map<string, { readonly needs: ContainerNeeds; count: number }>();
  for (const load of functions) {
    const wanted = Math.min(Math.max(containersOf(load), load.floor), load.maxContainers);
    if (wanted < NOTHING) continue;
    const key = demandClassKey(load.needs);
    const sum = sums.get(key) ?? { needs: load.needs, count: 0 };
    sum.count += wanted;
    sums.set(key, sum);
  }
  return [...sums.values()]
    .map(({ needs, count }) => ({ needs, count: Math.ceil(count - ROUNDING) + extra }))
    .sort((a, b) => gpus(b.needs) - gpus(a.needs) || b.needs.memoryMiB - a.needs.memoryMiB);
}

/** Sums of fractions this little above a whole number are that number. */
const ROUNDING = 1e-6;

function gpus(needs: ContainerNeeds): number {
  return needs.gpu?.count ?? 0;
}
