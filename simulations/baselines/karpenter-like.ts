/**
 * Karpenter-like: cheapest machine that fits what is pending, and consolidation by its published
 * rule. Source: karpenter.sh/docs/concepts/disruption, v1.14, read 2026-11.
 *
 * - Containers are those of a usual pod autoscaler: busy / target, kept for 300 s after they were
 *   last wanted (the Kubernetes default for scaling down).
 * - Pending containers get the machine with the least price per container (`cover.ts`).
 * - A machine whose containers fit on others goes: they are laid on the cheapest machines first,
 *   and what is left without any for `consolidateAfterMs` is given back.
 * - Machines of one offer whose containers fit on one cheaper machine are replaced by it: the
 *   most machines at a time for which that is so. The new one comes first; the old ones go by
 *   the rule before. Spot machines are never replaced by spot ones (a feature that is off by
 *   default there).
 * - At most `disruptionFractionMax` of the machines, rounded up, are replaced in a round, and a
 *   round begins no sooner than `consolidateAfterMs` after the last one.
 *
 * Machines in use may be given up: the pool moves whatever the plan leaves out, without asking
 * whether it pays.
 */
import {
  assert,
  MS_PER_MINUTE,
  MS_PER_SECOND,
  resourcesOf,
  type Offer,
  type OptimizerPolicy,
  type PoolPolicy,
} from "../../core/index.ts";
import {
  fitCount,
  mayServe,
  placeFirstFit,
  roomOf,
  type NodeStack,
} from "../../optimizer/index.ts";
import type {
  CapacityAnswer,
  CapacityPolicy,
  CapacityView,
  OfferFleet,
  PolicyState,
} from "../capacity-policy.ts";
import { answerOf, BASELINE_POOL_POLICY, NodeHold } from "./answer.ts";
import { cover, order, usedNodes, type Cover } from "./cover.ts";
import { PeakTable } from "./held-peak.ts";
import { busyContainers, wantedContainers, type WantedContainers } from "./wanted.ts";

export interface KarpenterParameters {
  readonly utilizationTarget: number;
  /** How long a container is kept after it was last wanted. */
  readonly podHoldMs: number;
  readonly consolidateAfterMs: number;
  /** Share of the machines that a round replaces at most, 0..1, rounded up. */
  readonly disruptionFractionMax: number;
}

/** The budget is its default; a minute is what its documentation shows for consolidation. */
export const KARPENTER_DEFAULT: KarpenterParameters = {
  utilizationTarget: 0.7,
  podHoldMs: 300 * MS_PER_SECOND,
  consolidateAfterMs: MS_PER_MINUTE,
  disruptionFractionMax: 0.1,
};

/** Machines that one replacement stands for at most. Source: its multi-node consolidation. */
const REPLACED_AT_ONCE_MAX = 100;

/** The autoscaler with given parameters. */
export function karpenterLike(
  name: string,
  parameters: KarpenterParameters,
  policy: OptimizerPolicy,
): CapacityPolicy {
  const { utilizationTarget, consolidateAfterMs, disruptionFractionMax } = parameters;
  const pods = new PeakTable(parameters.podHoldMs);
  const hold = new NodeHold(consolidateAfterMs);
  const retiring = new Retiring();
  let lastRoundMs = -Infinity;
  const decide = (view: CapacityView): CapacityAnswer => {
    const { offers, functions, nowMs } = view;
    const fleet = retiring.without(view.fleet);
    const wanted = wantedContainers(
      functions,
      (load) => pods.observe(load.functionId, nowMs, busyContainers(load) / utilizationTarget),
      0,
    );
    const laid = cover({ wanted, offers, fleet, policy });
    const counts = usedNodes(laid);
    if (nowMs - lastRoundMs >= consolidateAfterMs) {
      const nodeCount = view.fleet.reduce((sum, one) => sum + one.nodeCount, 0);
      const budget = Math.ceil(disruptionFractionMax * nodeCount);
      for (const { by, old, oldCount } of replacements({ laid, wanted, view, policy, budget })) {
        lastRoundMs = nowMs;
        counts.set(by.offerId, (counts.get(by.offerId) ?? 0) + 1);
        retiring.add(old.offerId, oldCount);
      }
    }
    return answerOf(hold.held(counts, view), view, "fits what is pending at the least price");
  };
  const save = (): PolicyState => ({
    kind: "consolidating",
    nodes: hold.peaks.save(),
    pods: pods.save(),
    ...retiring.save(),
    lastRoundMs,
  });
  const resume = (state: PolicyState): void => {
    assert(state.kind === "consolidating", "it goes on from what one of its kind remembered");
    hold.peaks.resume(state.nodes);
    pods.resume(state.pods);
    retiring.resume(state);
    lastRoundMs = state.lastRoundMs;
  };
  return { name, pool: poolOf(disruptionFractionMax), decide, save, resume };
}

function poolOf(disruptionFractionMax: number): PoolPolicy {
  return {
    ...BASELINE_POOL_POLICY,
    consolidation: {
      ...BASELINE_POOL_POLICY.consolidation,
      disruptionFractionMax,
      savingRatioMin: 0,
      periodMs: 0,
    },
  };
}

/** Machines that are being replaced: nothing is laid on them any more. */
class Retiring {
  #counts = new Map<string, number>();
  #before = new Map<string, number>();

  add(offerId: string, count: number): void {
    this.#counts.set(offerId, (this.#counts.get(offerId) ?? 0) + count);
  }

  save(): { readonly retiring: Map<string, number>; readonly before: Map<string, number> } {
    return { retiring: this.#counts, before: this.#before };
  }

  resume({ retiring, before }: ReturnType<Retiring["save"]>): void {
    this.#counts = retiring;
    this.#before = before;
  }

  /** The fleet less what retires; machines that are gone since the last look were those. */
  without(fleet: readonly OfferFleet[]): readonly OfferFleet[] {
    const now = new Map(fleet.map(({ offer, nodeCount }) => [offer.offerId, nodeCount]));
    for (const [offerId, count] of this.#counts) {
      const present = now.get(offerId) ?? 0;
      const gone = Math.max(0, (this.#before.get(offerId) ?? present) - present);
      const left = Math.min(count - gone, present);
      if (left > 0) this.#counts.set(offerId, left);
      else this.#counts.delete(offerId);
    }
    this.#before = now;
    return fleet.map(({ offer, nodeCount }) => ({
      offer,
      nodeCount: nodeCount - (this.#counts.get(offer.offerId) ?? 0),
    }));
  }
}

interface Round {
  readonly laid: Cover;
  readonly wanted: readonly WantedContainers[];
  readonly view: CapacityView;
  readonly policy: OptimizerPolicy;
  /** Machines that may be replaced. */
  readonly budget: number;
}

/** One new machine in the place of some. */
interface Replacement {
  readonly by: Offer;
  readonly old: Offer;
  readonly oldCount: number;
}

/** What to replace, the dearest machines first. */
function replacements(round: Round): readonly Replacement[] {
  const { laid, view } = round;
  const present = new Map(view.fleet.map(({ offer, nodeCount }) => [offer.offerId, nodeCount]));
  const candidates = laid.stacks
    .flatMap((stack) => {
      const offer = laid.offers[stack.offerIndex];
      return offer === undefined || stack.containers.size === 0 ? [] : [{ stack, offer }];
    })
    .filter(({ offer }) => (present.get(offer.offerId) ?? 0) > 0)
    .sort((a, b) => b.offer.priceMicroUsdPerHour - a.offer.priceMicroUsdPerHour);
  const found: Replacement[] = [];
  const added = new Map<string, number>();
  let { budget } = round;
  for (const { stack, offer } of candidates) {
    let left = stack.nodeCount;
    while (left > 0 && budget > 0) {
      const one = replacementOf({ stack, offer }, Math.min(left, budget), added, round);
      if (one === undefined) break;
      added.set(one.by.offerId, (added.get(one.by.offerId) ?? 0) + 1);
      found.push({ by: one.by, old: offer, oldCount: one.nodeCount });
      left -= one.nodeCount;
      budget -= one.nodeCount;
    }
  }
  return found;
}

/** The most machines of a stack that one cheaper machine stands for, and the cheapest such one. */
function replacementOf(
  old: { readonly stack: NodeStack; readonly offer: Offer },
  countMax: number,
  added: ReadonlyMap<string, number>,
  { wanted, view, policy }: Round,
): { readonly by: Offer; readonly nodeCount: number } | undefined {
  const present = new Map(view.fleet.map(({ offer, nodeCount }) => [offer.offerId, nodeCount]));
  const usable = view.offers.filter(
    (offer) =>
      offer.offerId !== old.offer.offerId &&
      !(offer.purchase === "spot" && old.offer.purchase === "spot") &&
      (present.get(offer.offerId) ?? 0) + (added.get(offer.offerId) ?? 0) < offer.nodeCountMax &&
      [...old.stack.containers.keys()].every((index) => {
        const needs = wanted[index]?.needs;
        return needs !== undefined && mayServe(offer, needs, policy);
      }),
  );
  const cheapestFirst = usable.sort(
    (a, b) => a.priceMicroUsdPerHour - b.priceMicroUsdPerHour || order(a, b),
  );
  for (let count = Math.min(countMax, REPLACED_AT_ONCE_MAX); count > 0; count -= 1) {
    const by = cheapestFirst.find(
      (offer) =>
        offer.priceMicroUsdPerHour < count * old.offer.priceMicroUsdPerHour &&
        holds(offer, old.stack, count, wanted),
    );
    if (by !== undefined) return { by, nodeCount: count };
  }
  return undefined;
}

/** Whether one node of an offer holds what is on `count` nodes of a stack. */
function holds(
  offer: Offer,
  stack: NodeStack,
  count: number,
  wanted: readonly WantedContainers[],
): boolean {
  let stacks: readonly NodeStack[] = [
    { offerIndex: 0, nodeCount: 1, room: roomOf(offer.resources), containers: new Map() },
  ];
  for (const [classIndex, perNode] of stack.containers) {
    const needs = wanted[classIndex]?.needs;
    if (needs === undefined) return false;
    const what = { classIndex, needs: resourcesOf(needs), quantity: count * perNode };
    if (stack.containers.size === 1)
      return fitCount(roomOf(offer.resources), what.needs) >= what.quantity;
    const placed = placeFirstFit(stacks, what);
    if (placed.leftover > 0) return false;
    ({ stacks } = placed);
  }
  return true;
}
