/**
 * Where a candidate loses against the relaxation, group by group and class by class.
 *
 * By the duals of the relaxation, cost less bound is a sum of terms that are each at least 0.
 * With pi of demand, lambda of a group's loads (what a node is worth), and rc the reduced costs,
 *
 *   group g   sum_{o in g} loss(rc_o, x_o, c_o)  +  lambda_g x nodes  -  sum_{d s} y_dgs (pi_ds - p_s e_dg)
 *   class d   sum_s loss(p_s v_d - pi_ds, u_ds, n_ds)
 *
 * where loss(rc, x, most) = rc x for rc >= 0 and -rc (most - x) otherwise. What limits leave unused
 * at a price is left out: no place is to blame for it. A group loses where its nodes hold less
 * than they could, a class where it goes unmet and the relaxation serves it; that is where
 * improvement looks.
 */
import type { Candidate } from "../candidate.ts";
import type { OfferGroup } from "../problem.ts";
import type { RestrictedModel, Optimal } from "./restricted-model.ts";

export interface Losses {
  /** By group, USD/h. */
  readonly groups: Float64Array;
  /** By class, USD/h. */
  readonly classes: Float64Array;
}

/** The losses of a candidate. */
export function lossesOf(
  model: RestrictedModel,
  { rowDuals }: Pick<Optimal, "rowDuals">,
  candidate: Candidate,
): Losses {
  const { problem } = model;
  const groups = new Float64Array(problem.groups.length);
  for (const [groupIndex, group] of problem.groups.entries()) {
    const worthUsd = model.loadsUsd(groupIndex, rowDuals);
    for (const index of group.offerIndexes) {
      const offer = problem.offers[index];
      const count = candidate.counts[index] ?? 0;
      if (!offer || (count === 0 && !model.activeGroups.has(groupIndex))) continue;
      const usd = offer.rentUsd + offer.reclaimUsd + model.limitsUsd(index, rowDuals) - worthUsd;
      const { present, countMax, launchUsd, releaseUsd } = offer;
      const kept = lossUsd(usd - releaseUsd, Math.min(present, count), present);
      const launched = lossUsd(usd + launchUsd, Math.max(0, count - present), countMax - present);
      groups[groupIndex] = (groups[groupIndex] ?? 0) + kept + launched + worthUsd * count;
    }
  }
  takeWorth(model, rowDuals, candidate, groups);
  return { groups, classes: classLosses(model, rowDuals, candidate) };
}

function lossUsd(reducedUsd: number, value: number, most: number): number {
  return reducedUsd >= 0 ? reducedUsd * value : -reducedUsd * (most - value);
}

/** Takes what the containers are worth where they are off the losses of the groups. */
function takeWorth(
  model: RestrictedModel,
  rowDuals: Float64Array,
  { stacks }: Candidate,
  groups: Float64Array,
): void {
  const { problem } = model;
  for (const [scenarioIndex, scenario] of stacks.entries()) {
    const worthOf = (group: OfferGroup, classIndex: number): number => {
      const dual = rowDuals[model.demandRow(classIndex, scenarioIndex)] ?? 0;
      const usd = group.costs[group.classIndexes.indexOf(classIndex)]?.usd ?? 0;
      return dual - (problem.probabilities[scenarioIndex] ?? 0) * usd;
    };
    for (const { offerIndex, nodeCount, containers } of scenario) {
      const groupIndex = problem.offers[offerIndex]?.groupIndex ?? -1;
      const group = problem.groups[groupIndex];
      if (!group) continue;
      let worthUsd = 0;
      for (const [classIndex, quantity] of containers) {
        worthUsd += nodeCount * quantity * worthOf(group, classIndex);
      }
      groups[groupIndex] = (groups[groupIndex] ?? 0) - worthUsd;
    }
  }
}

function classLosses(
  model: RestrictedModel,
  rowDuals: Float64Array,
  { unmet }: Candidate,
): Float64Array {
  const { probabilities, classes } = model.problem;
  return Float64Array.from(classes, ({ unmetUsd, excess, wanted }, classIndex) =>
    probabilities.reduce((sum, probability, scenarioIndex) => {
      const open = (unmet[classIndex]?.[scenarioIndex] ?? 0) - (excess[scenarioIndex] ?? 0);
      const dual = rowDuals[model.demandRow(classIndex, scenarioIndex)] ?? 0;
      const reducedUsd = probability * unmetUsd - dual;
      return sum + lossUsd(reducedUsd, open, wanted[scenarioIndex] ?? 0);
    }, 0),
  );
}
