/**
 * Which machines may stand in for those of a plan's line: what the containers that the plan puts
 * there allow, and what the policy allows.
 *
 * Where policy asks for shares of clouds, regions or markets, only the planner can keep them:
 * stand-ins then stay in their line's own place, which the pool takes when there is no rule.
 *
 * Pure. O(lines * classes).
 */
import type { ContainerNeeds, DemandClass, OptimizerPolicy } from "../core/index.ts";
import type { FleetPlan } from "../optimizer/index.ts";
import type { DesiredLine, StandInRule } from "./ports.ts";

/** The lines of a plan for the pool. */
export function desiredLinesOf(
  lines: FleetPlan["lines"],
  classes: readonly DemandClass[],
  policy: OptimizerPolicy,
): readonly DesiredLine[] {
  const needsOf = new Map(classes.map(({ classId, needs }) => [classId, needs]));
  return lines.map((line) => {
    const { offerId, count, reason } = line;
    const held = new Set(
      line.layouts.flatMap(({ containers }) => containers.map(({ classId }) => classId)),
    );
    const needs = [...held].flatMap((classId) => needsOf.get(classId) ?? []);
    const isKnown = needs.length === held.size;
    const standIns = isKnown ? ruleOf(needs, policy) : undefined;
    return { offerId, count, reason, ...(standIns === undefined ? {} : { standIns }) };
  });
}

/** What all of the containers and the policy allow; undefined means the line's own place only. */
function ruleOf(
  needs: readonly ContainerNeeds[],
  policy: OptimizerPolicy,
): StandInRule | undefined {
  if (policy.shares.length > 0) return undefined;
  // A machine may lack what these ask for, and an offer does not say.
  if (
    needs.some(({ placementGroups, arch, cpuFeatures, interconnect }) =>
      [placementGroups, arch, cpuFeatures, interconnect].some((asked) => asked !== undefined),
    )
  ) {
    return undefined;
  }
  // Where waiting has a price a zone's spot is limited, and only the planner can keep to that.
  const isSpotLimited = policy.buffers.waitMicroUsdPerGpuHour > 0;
  const isPreemptible = needs.every(({ preemptible }) => preemptible);
  const clouds = inAll([policy.clouds, ...needs.map((one) => one.clouds)]);
  const regions = inAll([policy.regions, ...needs.map((one) => one.regions)]);
  const zones = inAll(needs.map((one) => one.zones));
  return {
    purchases:
      policy.spotAllowed && isPreemptible && !isSpotLimited ? ["on-demand", "spot"] : ["on-demand"],
    ...(clouds === undefined ? {} : { clouds }),
    ...(regions === undefined ? {} : { regions }),
    ...(zones === undefined ? {} : { zones }),
  };
}

/** What is in every list; an absent list holds everything. */
function inAll<T>(lists: readonly (readonly T[] | undefined)[]): readonly T[] | undefined {
  const [first, ...others] = lists.filter((list) => list !== undefined);
  return first?.filter((one) => others.every((list) => list.includes(one)));
}
