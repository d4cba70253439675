import { usdFromMicroUsd, type Offer } from "../../core/index.ts";
import type { PlanSummary } from "../../sdk/protocol/index.ts";
import type { TimedPlan } from "./planner.ts";

/** A plan in the shape the API shows. */
export function planSummaryOf(
  { plan, solveMs }: TimedPlan,
  offers: readonly Offer[],
  planId: string,
  atMs: number,
): PlanSummary {
  const byId = new Map(offers.map((offer) => [offer.offerId, offer]));
  return {
    planId,
    atMs,
    status: plan.status,
    solver: plan.solver,
    solveMs,
    offersConsidered: plan.offersConsidered,
    objectiveUsdPerHour: plan.objectiveUsdPerHour,
    boundUsdPerHour: plan.boundUsdPerHour,
    gapFraction: plan.gapFraction,
    terms: { ...plan.terms },
    lines: plan.lines.map((line) => {
      const offer = byId.get(line.offerId);
      const [cloud = "", region = "", zone = "*", instanceType = "", purchase = ""] =
        line.offerId.split("/");
      const zoneName = offer?.zone ?? (zone === "*" ? undefined : zone);
      return {
        offerId: line.offerId,
        cloud,
        region,
        ...(zoneName === undefined ? {} : { zone: zoneName }),
        instanceType,
        purchase,
        count: line.count,
        delta: line.delta,
        usdPerHour: usdFromMicroUsd(line.priceMicroUsdPerHour),
        reason: line.reason,
      };
    }),
    unmet: plan.unmet.map(({ classId, quantity, reason }) => ({ classId, quantity, reason })),
  };
}
