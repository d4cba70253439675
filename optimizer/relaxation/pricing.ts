/**
 * Prices what is missing from the model with the duals of its solution.
 *
 * A missing group has no rows, so its duals may be chosen: in each scenario one resource r is
 * priced at lambda = max_d (pi_d - p e_d) / w_dr, the most that any container pays for its share
 * of a node; then no container would pay for a place, and a node is worth at most sum_s lambda_s.
 * With these duals the bound
 *
 *   bound = objective + sum over all columns of min(0, reduced cost) x upper bound
 *
 * holds at every step (weak duality), and equals the optimum of the full relaxation when nothing
 * more would pay.
 */
import type { OfferGroup } from "../problem.ts";
import type { ActiveGroup, Pair } from "./active-group.ts";
import type { RestrictedModel, Optimal } from "./restricted-model.ts";

type MissingPair = Omit<Pair, "column" | "classIndex">;

/** What would pay, and how much at most. */
export interface Pricing {
  /** Missing groups to bring in, the most promising ones. */
  readonly groups: readonly number[];
  readonly pairs: readonly MissingPair[];
  /** What the missing columns could take off the objective at most; <= 0. */
  readonly slackUsd: number;
}

const EPSILON = 1e-7;
/** Missing groups that are brought in at once. */
const GROUPS_PER_ROUND = 60;
/** Share of the best offer for a place at which a pair comes with its group. */
const WORTHWHILE = 0.97;

/** Prices everything that is missing. */
export function price(model: RestrictedModel, { rowDuals }: Optimal): Pricing {
  const pairs: MissingPair[] = [];
  const attractive: (Worth & { readonly groupIndex: number; readonly gainUsd: number })[] = [];
  let slackUsd = 0;
  for (const groupIndex of model.problem.groups.keys()) {
    if (model.activeGroups.has(groupIndex)) {
      slackUsd += pricePairs(model, groupIndex, rowDuals, pairs);
      continue;
    }
    const worth = worthOf(model, groupIndex, rowDuals);
    const { lossUsd, gainUsd } = priceNodes(model, groupIndex, worth.usd, rowDuals);
    slackUsd -= lossUsd;
    if (gainUsd > 0) attractive.push({ ...worth, groupIndex, gainUsd });
  }
  attractive.sort((a, b) => b.gainUsd - a.gainUsd || a.groupIndex - b.groupIndex);
  const chosen = attractive.slice(0, GROUPS_PER_ROUND);
  return {
    groups: chosen.map(({ groupIndex }) => groupIndex),
    pairs: [...pairs, ...chosen.flatMap(pairsOf)],
    slackUsd,
  };
}

/** What the nodes of a missing group could take off, all together and the best offer alone. */
function priceNodes(
  model: RestrictedModel,
  groupIndex: number,
  worthUsd: number,
  duals: Float64Array,
): { readonly lossUsd: number; readonly gainUsd: number } {
  let lossUsd = 0;
  let gainUsd = 0;
  for (const offerIndex of model.problem.groups[groupIndex]?.offerIndexes ?? []) {
    const offer = model.problem.offers[offerIndex];
    if (!offer) continue;
    const nodeUsd = offer.rentUsd + offer.reclaimUsd + offer.launchUsd;
    const reducedUsd = nodeUsd + model.limitsUsd(offerIndex, duals) - worthUsd;
    if (reducedUsd >= -EPSILON) continue;
    lossUsd -= reducedUsd * offer.countMax;
    gainUsd = Math.max(gainUsd, -reducedUsd * offer.countMax);
  }
  return { lossUsd, gainUsd };
}

/** Finds missing pairs of an active group that would pay; gives what they could take off. */
function pricePairs(
  model: RestrictedModel,
  groupIndex: number,
  duals: Float64Array,
  found: MissingPair[],
): number {
  const { problem } = model;
  const group = problem.groups[groupIndex];
  const active = model.activeGroups.get(groupIndex);
  if (!group || !active) return 0;
  let slackUsd = 0;
  for (const [scenarioIndex, columns] of active.pairColumns.entries()) {
    const gains = gainsOf(model, group, scenarioIndex, duals);
    const loads = pricedLoads(active, scenarioIndex, duals);
    for (const [position, classIndex] of group.classIndexes.entries()) {
      if ((columns[position] ?? -1) >= 0) continue;
      const reducedUsd = placeUsd(loads, position) - (gains[position] ?? 0);
      if (reducedUsd >= -EPSILON) continue;
      slackUsd += reducedUsd * (problem.classes[classIndex]?.wanted[scenarioIndex] ?? 0);
      found.push({ groupIndex, position, scenarioIndex });
    }
  }
  return slackUsd;
}

interface PricedLoad {
  readonly usd: number;
  readonly weights: Float64Array;
}

/** Loads that cost something, with their price. */
function pricedLoads(
  active: ActiveGroup,
  scenarioIndex: number,
  duals: Float64Array,
): readonly PricedLoad[] {
  return (active.loadRows[scenarioIndex] ?? []).flatMap(({ row, load }) => {
    const usd = -(duals[row] ?? 0);
    const weights = active.loads[load];
    return usd > 0 && weights ? [{ usd, weights }] : [];
  });
}

/** What the place of a container costs. */
function placeUsd(loads: readonly PricedLoad[], position: number): number {
  let sum = 0;
  for (const { usd, weights } of loads) sum += usd * (weights[position] ?? 0);
  return sum;
}

/** What each container is worth in a group, beyond what it costs there; 0 where none is wanted. */
function gainsOf(
  model: RestrictedModel,
  group: OfferGroup,
  scenarioIndex: number,
  duals: Float64Array,
): Float64Array {
  const probability = model.problem.probabilities[scenarioIndex] ?? 0;
  const { classIndexes, costs } = group;
  const gains = new Float64Array(classIndexes.length);
  for (let position = 0; position < gains.length; position += 1) {
    const row = model.demandRow(classIndexes[position] ?? -1, scenarioIndex);
    if (row >= 0) gains[position] = (duals[row] ?? 0) - probability * (costs[position]?.usd ?? 0);
  }
  return gains;
}

interface Worth {
  /** What a node is worth at most. */
  readonly usd: number;
  /** By scenario: gains by position, and the resource that limits them. */
  readonly scenarios: readonly ScenarioWorth[];
}

interface ScenarioWorth {
  readonly lambda: number;
  readonly shares: Float64Array;
  readonly gains: Float64Array;
}

/** What a node of a missing group is worth at most. */
function worthOf(model: RestrictedModel, groupIndex: number, duals: Float64Array): Worth {
  const { problem } = model;
  const group = problem.groups[groupIndex];
  if (!group) return { usd: 0, scenarios: [] };
  const shares = model.shares.of(groupIndex);
  const scenarios = problem.probabilities.map((_, scenarioIndex) => {
    const gains = gainsOf(model, group, scenarioIndex, duals);
    let best: ScenarioWorth = { lambda: Infinity, shares: new Float64Array(0), gains };
    for (const of of shares) {
      const lambda = dearest(gains, of);
      if (lambda < best.lambda) best = { lambda, shares: of, gains };
    }
    return best;
  });
  const usd = scenarios.reduce((sum, { lambda }) => sum + (lambda === Infinity ? 0 : lambda), 0);
  return { usd, scenarios };
}

/** The most that is gained per node: max of gain over share. */
function dearest(gains: Float64Array, shares: Float64Array): number {
  let most = 0;
  for (let position = 0; position < gains.length; position += 1) {
    const gain = gains[position] ?? 0;
    if (gain <= 0) continue;
    const share = shares[position] ?? 0;
    if (share <= 0) return Infinity;
    most = Math.max(most, gain / share);
  }
  return most;
}

/** The pairs that make a missing group worth what it is. */
function pairsOf({
  groupIndex,
  scenarios,
}: Worth & { readonly groupIndex: number }): readonly MissingPair[] {
  return scenarios.flatMap(({ lambda, shares, gains }, scenarioIndex) =>
    [...gains.keys()].flatMap((position) => {
      const gain = gains[position] ?? 0;
      const isWorthwhile = gain > 0 && gain >= WORTHWHILE * lambda * (shares[position] ?? 0);
      return isWorthwhile ? [{ groupIndex, position, scenarioIndex }] : [];
    }),
  );
}
