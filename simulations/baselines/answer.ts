/** From counts of nodes to an answer: what is held, the lines, and the pool's rules. */
import { assert, DEFAULT_POOL_POLICY, type Offer, type PoolPolicy } from "../../core/index.ts";
import type { CapacityAnswer, CapacityPolicy, CapacityView } from "../capacity-policy.ts";
import { PeakTable } from "./held-peak.ts";
import { busyContainers } from "./wanted.ts";

/**
 * How the pool acts for a baseline. A baseline holds machines itself, so the pool gives back at
 * once what is idle and beyond the plan; caps and launch rates are wide, so that no baseline
 * loses by them; nothing that is in use is moved.
 */
export const BASELINE_POOL_POLICY: PoolPolicy = {
  ...DEFAULT_POOL_POLICY,
  idleReleaseMs: 0,
  actionCountMaxPerTick: 100_000,
  nodeCountMax: 1_000_000,
  launchesPerSecondMax: 10_000,
  launchBurstMax: 100_000,
  consolidation: { ...DEFAULT_POOL_POLICY.consolidation, disruptionFractionMax: 0 },
};

/**
 * Keeps machines for a while after they were last wanted. Only present ones are kept: what was
 * wanted once and never came is not wanted by this.
 */
export class NodeHold {
  /** What was wanted lately, by offer. */
  readonly peaks: PeakTable;

  constructor(holdMs: number) {
    this.peaks = new PeakTable(holdMs);
  }

  /** Nodes by offer: `counts`, or as many of the present ones as were wanted lately. */
  held(counts: ReadonlyMap<string, number>, view: CapacityView): ReadonlyMap<string, number> {
    const present = new Map(view.fleet.map(({ offer, nodeCount }) => [offer.offerId, nodeCount]));
    const held = new Map<string, number>();
    for (const offerId of new Set([...this.peaks.names, ...counts.keys()])) {
      const count = counts.get(offerId) ?? 0;
      const peak = this.peaks.observe(offerId, view.nowMs, count);
      const kept = Math.min(peak, present.get(offerId) ?? 0);
      held.set(offerId, Math.max(count, kept));
      if (held.get(offerId) === 0) this.peaks.forget(offerId);
    }
    return held;
  }

  /** What a policy says and takes back that remembers nothing else. */
  get memory(): Required<Pick<CapacityPolicy, "save" | "resume">> {
    return {
      save: () => ({ kind: "hold", nodes: this.peaks.save() }),
      resume: (state) => {
        assert(state.kind === "hold", "a hold goes on from what a hold remembered");
        this.peaks.resume(state.nodes);
      },
    };
  }
}

/** Lines for counts of nodes, sorted by offer; none stands in for another but by the policy. */
export function answerOf(
  counts: ReadonlyMap<string, number>,
  view: CapacityView,
  reason: string,
): CapacityAnswer {
  const gpusOf = new Map<string, number>();
  const note = (offer: Offer): void => void gpusOf.set(offer.offerId, offer.resources.gpuCount);
  for (const offer of view.offers) note(offer);
  for (const { offer } of view.fleet) note(offer);
  const lines = [...counts]
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([offerId, count]) => ({ offerId, count, reason, standIns: { purchases: [] } }));
  const planned = lines.reduce(
    (sum, { offerId, count }) => sum + count * (gpusOf.get(offerId) ?? 0),
    0,
  );
  const busy = view.functions.reduce(
    (sum, load) => sum + busyContainers(load) * (load.needs.gpu?.count ?? 0),
    0,
  );
  return { lines, bufferGpuCount: Math.max(0, planned - busy) };
}
