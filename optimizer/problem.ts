/** What is optimized, as presolve.ts makes it of the input. All lists are in id order. */
import type { DemandClass, Offer, Resources } from "../core/index.ts";
import type { ContainerCosts } from "./costs.ts";
import type { MarketRules } from "./market-rules.ts";
import type { PlanInput, PresentNodes } from "./plan.ts";

/** An offer on the table. Money in USD per hour, since it goes to solvers and no ledger. */
export interface ProblemOffer {
  readonly offer: Offer;
  readonly groupIndex: number;
  /** Nodes there are now. */
  readonly present: number;
  /** Most nodes there may be: present ones may always stay. */
  readonly countMax: number;
  /** Of one node; 0 for committed nodes, which are paid for whatever the plan. */
  readonly rentUsd: number;
  readonly reclaimUsd: number;
  /** Of launching, or releasing, one node, spread over the horizon. */
  readonly launchUsd: number;
  readonly releaseUsd: number;
}

/** Offers whose nodes are alike. */
export interface OfferGroup {
  readonly resources: Resources;
  readonly offerIndexes: readonly number[];
  /** Classes that may use it, ascending. */
  readonly classIndexes: readonly number[];
  /** Containers of each class that fit on one empty node, aligned with `classIndexes`. */
  readonly fits: readonly number[];
  /** What one container of each class costs here beyond the node, aligned with `classIndexes`. */
  readonly costs: readonly ContainerCosts[];
}

/** A class with demand. */
export interface ProblemClass {
  readonly demand: DemandClass;
  readonly needs: Resources;
  readonly unmetUsd: number;
  /** Containers wanted in each scenario, at most what all nodes together hold. */
  readonly wanted: readonly number[];
  /** Demand that was taken out of `wanted`, by scenario. */
  readonly excess: readonly number[];
  /** Where it may run, ascending by group; `position` is its place in the group's lists. */
  readonly places: readonly { readonly groupIndex: number; readonly position: number }[];
}

/** Present nodes that may not stay. */
export interface RuledOutNodes {
  readonly offer: Offer;
  readonly count: number;
  readonly reason: string;
}

export interface Problem extends MarketRules {
  /** Checked and in id order. */
  readonly input: PlanInput;
  readonly offers: readonly ProblemOffer[];
  readonly groups: readonly OfferGroup[];
  readonly classes: readonly ProblemClass[];
  readonly probabilities: readonly number[];
  /** What rent may be besides committed nodes; undefined means no limit. */
  readonly budgetUsd: number | undefined;
  /** Costs that every plan has, USD/h. */
  readonly fixed: {
    /** Rent of all committed nodes. */
    readonly committedUsd: number;
    /** Expected price of all `excess`. */
    readonly excessUsd: number;
    /** Releases of `ruledOut` nodes. */
    readonly ruledOutUsd: number;
  };
  /** Present nodes that policy forbids: they are released. */
  readonly ruledOut: readonly RuledOutNodes[];
  /** Present nodes of which nothing is known but the id: they are kept. */
  readonly unknown: readonly PresentNodes[];
  /** Offers that were looked at. */
  readonly offersConsidered: number;
}

/** The sum of what every plan costs, USD/h. */
export function fixedUsdOf({ fixed }: Problem): number {
  return fixed.committedUsd + fixed.excessUsd + fixed.ruledOutUsd;
}
