/**
 * What one plan teaches the next: markets and demand change little from tick to tick.
 *
 * Kept by the caller between calls and changed by each; things are remembered by id, since
 * indexes move when an offer comes or goes. Equal inputs and equal memory give equal plans.
 */
import type { Candidate } from "./candidate.ts";
import type { OfferGroup, Problem } from "./problem.ts";

/** The object that a caller keeps and passes to every `planFleet`. */
export interface PlanMemory {
  last?: LearntPlan;
}

/** What is known after a plan. */
export interface LearntPlan {
  /** Classes that a group was worth a try for, by the name of the group. */
  readonly classIdsByGroup: ReadonlyMap<string, readonly string[]>;
  /** Nodes by offer id, only those above 0. */
  readonly counts: ReadonlyMap<string, number>;
  /** By scenario id: containers on the nodes of an offer, alike nodes together. */
  readonly stacks: ReadonlyMap<string, readonly LearntNodes[]>;
  /** How close to the bound the plan came. */
  readonly gapFraction: number;
}

/** Alike nodes of one offer and what each of them held. */
export interface LearntNodes {
  readonly offerId: string;
  readonly nodeCount: number;
  /** Class id to quantity. */
  readonly containers: ReadonlyMap<string, number>;
}

/** A memory that knows nothing yet. */
export function createPlanMemory(): PlanMemory {
  return {};
}

/** A name by which a group is found again. */
export function groupNameOf(problem: Problem, group: OfferGroup): string {
  return problem.offers[group.offerIndexes[0] ?? -1]?.offer.offerId ?? "";
}

/** A candidate in ids. */
export function learntCandidate(
  problem: Problem,
  candidate: Candidate,
): Pick<LearntPlan, "counts" | "stacks"> {
  const counts = new Map<string, number>();
  for (const [index, { offer }] of problem.offers.entries()) {
    const count = candidate.counts[index] ?? 0;
    if (count > 0) counts.set(offer.offerId, count);
  }
  const stacks = new Map(
    problem.input.scenarios.map(({ scenarioId }, index) => [
      scenarioId,
      (candidate.stacks[index] ?? []).map(({ offerIndex, nodeCount, containers }) => ({
        offerId: problem.offers[offerIndex]?.offer.offerId ?? "",
        nodeCount,
        containers: new Map(
          [...containers].map(([classIndex, quantity]) => [
            problem.classes[classIndex]?.demand.classId ?? "",
            quantity,
          ]),
        ),
      })),
    ]),
  );
  return { counts, stacks };
}
