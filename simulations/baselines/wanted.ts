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

/** Waiting inputs that count as load: all would be ordered twice while machines boot. Ibid. */
const BACKLOG_WEIGHT = 0.3;

/**
 * Containers that a function keeps busy, a fraction: arrivals * service (Little's law) where that
 * is known and short, else those that run; and part of what waits.
 */
export function busyContainers(load: FunctionLoad): number {
  const { arrivalsPerSecond, serviceMs, running, backlog, concurrency } = load;
  const inputs =
    serviceMs !== undefined && serviceMs < COUNTED_BY_ARRIVALS_MS
      ? (arrivalsPerSecond * serviceMs) / MS_PER_SECOND + BACKLOG_WEIGHT * backlog
      : running + (serviceMs === undefined ? 1 : BACKLOG_WEIGHT) * backlog;
  return inputs / concurrency;
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
