/** What the optimizer is given and what it answers: plain readonly data. */
import type { DemandClass, ObjectiveTerm, Offer, OptimizerPolicy } from "../core/index.ts";

/** One way the near future may look. */
export interface DemandScenario {
  readonly scenarioId: string;
  /** In (0, 1]; the probabilities of all scenarios add up to 1. */
  readonly probability: number;
  /**
   * Containers wanted at once, by class: running and waiting ones together. Whole numbers >= 0;
   * a class that is absent wants none.
   */
  readonly quantity: Readonly<Record<string, number>>;
}

/** Nodes that are rented now, of one offer. */
export interface PresentNodes {
  readonly offerId: string;
  readonly count: number;
  /**
   * The offer as it was when rented: lets nodes whose offer is no longer listed serve demand.
   * Without it such nodes are kept as they are and serve nothing.
   */
  readonly offer?: Offer;
}

/** Everything a plan depends on; the order of the lists does not matter. */
export interface PlanInput {
  readonly offers: readonly Offer[];
  readonly classes: readonly DemandClass[];
  /** At least one. */
  readonly scenarios: readonly DemandScenario[];
  readonly fleet: readonly PresentNodes[];
  /** Most nodes per quota group; groups that are absent have no limit. */
  readonly quotaLimits?: Readonly<Record<string, number>>;
  readonly policy: OptimizerPolicy;
}

/** How the containers of one scenario sit on some nodes of a line: all of them alike. */
export interface NodeLayout {
  readonly scenarioId: string;
  /** How many nodes look like this; the rest of the line is idle in this scenario. */
  readonly nodeCount: number;
  /** What one such node holds; sorted by `classId`, quantities >= 1. */
  readonly containers: readonly { readonly classId: string; readonly quantity: number }[];
}

/** The best offer that a line did not choose. */
export interface NextBest {
  readonly offerId: string;
  readonly priceMicroUsdPerHour: number;
}

/** How many nodes of one offer there should be. */
export interface PlanLine {
  readonly offerId: string;
  readonly count: number;
  /** `count` less the nodes that are there now. */
  readonly delta: number;
  /** Of one node; 0 when the offer is unknown. */
  readonly priceMicroUsdPerHour: number;
  /** For people. */
  readonly reason: string;
  readonly nextBest?: NextBest;
  /** Proof that the containers fit on whole nodes, one entry per scenario and shape. */
  readonly layouts: readonly NodeLayout[];
}

/** Demand that the plan leaves unserved, and the constraint that binds. */
export interface UnmetDemand {
  readonly classId: string;
  readonly scenarioId: string;
  readonly quantity: number;
  readonly reason: string;
}

/** What one more unit of a limit would save, from the linear relaxation. */
export interface ShadowPrice {
  /** `quota <group>`, `budget` (per USD/h), `capacity <offerId>`, or `share <of> <name> max|min`. */
  readonly constraint: string;
  readonly usdPerUnit: number;
}

/** The whole answer. */
export interface FleetPlan {
  /** `optimal`: within the policy's gap; `feasible`: safe, gap stated; `fallback`: no solver. */
  readonly status: "optimal" | "feasible" | "fallback";
  /** Name of the solver that answered; `greedy` in a fallback, `none` if nothing was open. */
  readonly solver: string;
  /** Offers that were on the table. */
  readonly offersConsidered: number;
  readonly objectiveUsdPerHour: number;
  /** No plan costs less than this. */
  readonly boundUsdPerHour: number;
  /** (objective - bound) / objective, 0..1. */
  readonly gapFraction: number;
  /** Parts of the objective, USD/h; they add up to it. */
  readonly terms: Readonly<Record<ObjectiveTerm, number>>;
  /** Sorted by `offerId`; every present offer has a line. */
  readonly lines: readonly PlanLine[];
  /** Sorted by class, then scenario. */
  readonly unmet: readonly UnmetDemand[];
  /** Sorted by constraint; only prices above zero. */
  readonly shadowPrices: readonly ShadowPrice[];
  /** What went wrong with solvers on the way, in order; empty when nothing did. */
  readonly solverFailures: readonly string[];
}
