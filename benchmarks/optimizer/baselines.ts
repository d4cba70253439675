/**
 * What the same demand costs without the optimizer, by three rules that people use. All obey
 * capacity and quotas, put containers on whole nodes (first-fit), and leave unmet what finds no
 * room, at the same price as the plan does.
 */
import type { DemandClass, GpuType, Offer, OptimizerPolicy } from "../../core/index.ts";
import { planFleet, type FleetPlan, type PlanInput } from "../../optimizer/index.ts";

/** Plans with what a rule leaves of the market. */
export type PlanWith = (input: PlanInput) => Promise<FleetPlan>;

/**
 * The cheapest single GPU type: everybody who accepts it gets it, the others get the first type
 * of their list; what a class gets is then planned as a whole.
 */
export async function singleTypeUsd(input: PlanInput, plan: PlanWith): Promise<number> {
  const types = new Set(input.offers.flatMap(({ gpuType }) => (gpuType ? [gpuType] : [])));
  let least = Infinity;
  for (const type of [...types].sort()) {
    const classes = input.classes.map((demand) => withOneType(demand, type));
    const { objectiveUsdPerHour } = await plan({ ...input, classes });
    least = Math.min(least, objectiveUsdPerHour);
  }
  return least;
}

function withOneType(demand: DemandClass, type: GpuType): DemandClass {
  const { gpu } = demand.needs;
  if (!gpu) return demand;
  const only = gpu.types.includes(type) ? type : gpu.types[0];
  return { ...demand, needs: { ...demand.needs, gpu: { ...gpu, types: only ? [only] : [] } } };
}

/**
 * Greedy: class after class, the offer with the least price per container that has room. It is
 * spared the rules about shares of all GPUs, which it cannot heed well, so it looks cheaper here
 * than it would be.
 */
export async function greedyUsd(input: PlanInput): Promise<number> {
  const { objectiveUsdPerHour } = await planFleet(
    { ...input, policy: withoutFleetRules(input.policy) },
    {},
  );
  return objectiveUsdPerHour;
}

/** Each class planned alone on nodes of its own, in id order, with what the others have left. */
export async function unpooledUsd(input: PlanInput, plan: PlanWith): Promise<number> {
  let offers: readonly Offer[] = input.offers;
  let quotas = input.quotaLimits ?? {};
  let usd = 0;
  for (const demand of input.classes) {
    const { classId } = demand;
    const alone = await plan({
      ...input,
      offers,
      quotaLimits: quotas,
      classes: [demand],
      scenarios: input.scenarios.map((scenario) => ({
        ...scenario,
        quantity: { [classId]: scenario.quantity[classId] ?? 0 },
      })),
      policy: withoutFleetRules(input.policy),
    });
    usd += alone.objectiveUsdPerHour;
    const counts = new Map(alone.lines.map((line) => [line.offerId, line.count]));
    quotas = quotasLeft(quotas, offers, counts);
    offers = offers.map((offer) => ({
      ...offer,
      nodeCountMax: offer.nodeCountMax - (counts.get(offer.offerId) ?? 0),
    }));
  }
  return usd;
}

/** Rules about all GPUs mean nothing for one class alone. */
function withoutFleetRules(policy: OptimizerPolicy): OptimizerPolicy {
  return { ...policy, shares: [], concentration: [] };
}

function quotasLeft(
  quotas: Readonly<Record<string, number>>,
  offers: readonly Offer[],
  counts: ReadonlyMap<string, number>,
): Readonly<Record<string, number>> {
  const left = { ...quotas };
  for (const { offerId, quotaGroups } of offers) {
    for (const group of quotaGroups) {
      const limit = left[group];
      if (limit !== undefined) left[group] = limit - (counts.get(offerId) ?? 0);
    }
  }
  return left;
}
