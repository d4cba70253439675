/**
 * The market through the duals of the relaxation: what a container is worth, what a node costs,
 * and where each class is worth a try.
 *
 * With pi of demand and lambda of the loads of a group, a container of class d in scenario s is
 * worth `pi_ds`, and a node of offer o costs `max(cost_o + limits_o, lambda_g)`: an offer that is
 * cheaper than what its nodes are worth is scarce, and counts at what it is worth. Cost less worth
 * of what a node holds is then what the node loses against the relaxation, and never below 0.
 */
import type { Problem, ProblemClass } from "../problem.ts";
import type { ActiveGroup } from "../relaxation/active-group.ts";
import type { Optimal, RestrictedModel } from "../relaxation/restricted-model.ts";

/** A place for a class, and what a container costs there beyond the node. */
export interface WorthyPlace {
  readonly groupIndex: number;
  readonly usd: number;
}

export interface Worth {
  /** Of a container, by class x scenario: see `keyOf`. */
  readonly containerUsd: Float64Array;
  /** Of a node, by offer. */
  readonly nodeUsd: Float64Array;
  /** By class, those first where it loses least. */
  readonly places: readonly (readonly WorthyPlace[])[];
  /** By group: its offers, the cheapest first. */
  readonly offersOf: readonly (readonly number[])[];
}

/** A place where a class would lose more than this share of its worth is not worth a try. */
const LOSS_FRACTION_MAX = 0.05;

/** But so many places, those that lose least, always are. */
const PLACE_COUNT_MIN = 12;

/** The index of a class in a scenario. */
export function keyOf(problem: Problem, classIndex: number, scenarioIndex: number): number {
  return classIndex * problem.probabilities.length + scenarioIndex;
}

/** Reads the duals of a solution. */
export function worthOf(model: RestrictedModel, { rowDuals }: Pick<Optimal, "rowDuals">): Worth {
  const { problem } = model;
  const containerUsd = new Float64Array(problem.classes.length * problem.probabilities.length);
  for (const classIndex of problem.classes.keys()) {
    for (const scenarioIndex of problem.probabilities.keys()) {
      const row = model.demandRow(classIndex, scenarioIndex);
      const usd = row < 0 ? 0 : (rowDuals[row] ?? 0);
      containerUsd[keyOf(problem, classIndex, scenarioIndex)] = usd;
    }
  }
  const nodeUsd = Float64Array.from(problem.offers, (offer, index) => {
    const moveUsd = offer.present > 0 ? -offer.releaseUsd : offer.launchUsd;
    const ownUsd = offer.rentUsd + offer.reclaimUsd + moveUsd + model.limitsUsd(index, rowDuals);
    return Math.max(ownUsd, model.loadsUsd(offer.groupIndex, rowDuals));
  });
  return {
    containerUsd,
    nodeUsd,
    places: problem.classes.map((demand, classIndex) =>
      worthyPlaces(model, rowDuals, containerUsd, { demand, classIndex }),
    ),
    offersOf: problem.groups.map(({ offerIndexes }) =>
      offerIndexes.toSorted((a, b) => (nodeUsd[a] ?? 0) - (nodeUsd[b] ?? 0) || a - b),
    ),
  };
}

/** Places that the relaxation looked at and that lose little. */
function worthyPlaces(
  model: RestrictedModel,
  rowDuals: Float64Array,
  containerUsd: Float64Array,
  { demand, classIndex }: { readonly demand: ProblemClass; readonly classIndex: number },
): readonly WorthyPlace[] {
  const { problem } = model;
  const looked = demand.places.flatMap(({ groupIndex, position }) => {
    const active = model.activeGroups.get(groupIndex);
    if (!active?.pairColumns.some((columns) => (columns[position] ?? -1) >= 0)) return [];
    const usd = problem.groups[groupIndex]?.costs[position]?.usd ?? 0;
    let lossFraction = Infinity;
    for (const [scenarioIndex, probability] of problem.probabilities.entries()) {
      const worthUsd = containerUsd[keyOf(problem, classIndex, scenarioIndex)] ?? 0;
      if (worthUsd <= 0) continue;
      const placeUsd =
        probability * usd + placeLoadsUsd(active, { scenarioIndex, position }, rowDuals);
      lossFraction = Math.min(lossFraction, placeUsd / worthUsd - 1);
    }
    return [{ groupIndex, usd, lossFraction }];
  });
  looked.sort((a, b) => a.lossFraction - b.lossFraction || a.groupIndex - b.groupIndex);
  return looked
    .filter(({ lossFraction }, rank) => rank < PLACE_COUNT_MIN || lossFraction <= LOSS_FRACTION_MAX)
    .map(({ groupIndex, usd }) => ({ groupIndex, usd }));
}

/** What the loads of a container cost by the duals. */
function placeLoadsUsd(
  { loadRows, loads }: ActiveGroup,
  { scenarioIndex, position }: { readonly scenarioIndex: number; readonly position: number },
  rowDuals: Float64Array,
): number {
  let usd = 0;
  for (const { row, load } of loadRows[scenarioIndex] ?? []) {
    usd -= (rowDuals[row] ?? 0) * (loads[load]?.[position] ?? 0);
  }
  return usd;
}
