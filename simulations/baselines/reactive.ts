/**
 * A reactive autoscaler: what most teams run.
 *
 *     containers of a kind = ceil(sum of busy containers / utilization target) + buffer
 *
 * on the cheapest machines first (`cover.ts`); machines are kept for a hold after they were last
 * wanted. Up at once, down after the hold: the way of the Kubernetes autoscalers (their
 * defaults: a window of 300 s for pods, 10 min before an unneeded node goes; read 2026-11).
 */
import { MS_PER_MINUTE, MS_PER_SECOND, type OptimizerPolicy } from "../../core/index.ts";
import type { CapacityAnswer, CapacityPolicy, CapacityView } from "../capacity-policy.ts";
import { answerOf, BASELINE_POOL_POLICY, NodeHold } from "./answer.ts";
import { cover, usedNodes } from "./cover.ts";
import { busyContainers, wantedContainers } from "./wanted.ts";

export interface ReactiveParameters {
  /** Share of the containers that should be busy, above 0, at most 1. */
  readonly utilizationTarget: number;
  /** How long a machine is kept after it was last wanted. */
  readonly holdMs: number;
  /** Idle containers kept of each kind that is wanted at all. */
  readonly bufferContainers: number;
}

/** Source: a common choice of teams, and the defaults of the Kubernetes cluster autoscaler. */
export const REACTIVE_70_10: ReactiveParameters = {
  utilizationTarget: 0.7,
  holdMs: 10 * MS_PER_MINUTE,
  bufferContainers: 0,
};

/** The cheapest setting that kept waits short in the study named in `bounds/` (boots of 150 s). */
export const REACTIVE_TUNED: ReactiveParameters = {
  utilizationTarget: 0.9,
  holdMs: 150 * MS_PER_SECOND,
  bufferContainers: 0,
};

const GRID = {
  utilizationTargets: [0.7, 0.8, 0.85, 0.9, 0.95, 1],
  holdsMs: [60, 150, 300, 600].map((seconds) => seconds * MS_PER_SECOND),
} as const;

/** The settings among which the best tuned one is looked for: small, as a team would try. */
export function reactiveGrid(): readonly ReactiveParameters[] {
  return GRID.utilizationTargets.flatMap((utilizationTarget) =>
    GRID.holdsMs.map((holdMs) => ({ utilizationTarget, holdMs, bufferContainers: 0 })),
  );
}

/** What one setting turned out to be. */
export interface TunedRun {
  readonly parameters: ReactiveParameters;
  readonly paidMicroUsd: number;
  /** Share of inputs that waited too long, 0..1. */
  readonly missFraction: number;
}

/** The cheapest setting with at most so many misses; undefined when none keeps to it. */
export function bestTuned(
  runs: readonly TunedRun[],
  missFractionMax: number,
): TunedRun | undefined {
  return runs
    .filter(({ missFraction }) => missFraction <= missFractionMax)
    .reduce<TunedRun | undefined>(
      (best, run) => (best === undefined || run.paidMicroUsd < best.paidMicroUsd ? run : best),
      undefined,
    );
}

/** The autoscaler with given parameters. */
export function reactive(
  name: string,
  parameters: ReactiveParameters,
  policy: OptimizerPolicy,
): CapacityPolicy {
  const { utilizationTarget, holdMs, bufferContainers } = parameters;
  const hold = new NodeHold(holdMs);
  const decide = (view: CapacityView): CapacityAnswer => {
    const { offers, fleet, functions } = view;
    const wanted = wantedContainers(
      functions,
      (load) => busyContainers(load) / utilizationTarget,
      bufferContainers,
    );
    const counts = usedNodes(cover({ wanted, offers, fleet, policy }));
    const reason = `load over ${utilizationTarget}, kept for ${holdMs / MS_PER_SECOND} s`;
    return answerOf(hold.held(counts, view), view, reason);
  };
  return { name, pool: BASELINE_POOL_POLICY, decide, ...hold.memory };
}
