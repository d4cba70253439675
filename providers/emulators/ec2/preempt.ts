/** Interruptions of spot instances, with the notice that EC2 gives on the machine itself. */
import { MS_PER_MINUTE, PlatformError } from "../../../core/index.ts";
import { selects, type CapacitySelector } from "../shared/capacity-schedule.ts";
import { userOf } from "./capacity.ts";
import { isLive, type Instance } from "./instance.ts";
import type { World } from "./world.ts";

/** Which spot instances are taken back, and how. */
export interface Preemption extends CapacitySelector {
  /** Absent means all that match the selector. */
  readonly instanceId?: string;
  /** Share of the matching ones, 0..1; 1 when absent. The oldest ones go. */
  readonly fraction?: number;
  /** From the notice to the end; two minutes when absent. */
  readonly noticeMs?: number;
  /** Whether the metadata endpoint tells; true when absent. Notices are best effort. */
  readonly withNotice?: boolean;
}

/** Source: EC2 user guide, Spot Instance interruption notices (read 2026-11). */
const NOTICE_MS = 2 * MS_PER_MINUTE;

/**
 * Begins to take instances back; gives their ids.
 *
 * @throws PlatformError `not_found`; `invalid_request` for an on-demand instance.
 */
export function preempt(world: World, preemption: Preemption): readonly string[] {
  const { noticeMs = NOTICE_MS, withNotice = true } = preemption;
  const chosen = chosenBy(world, preemption);
  const nowMs = world.clock.nowMs();
  for (const instance of chosen) {
    const endsAtMs = nowMs + noticeMs;
    if (withNotice) instance.interruption = { noticedAtMs: nowMs, endsAtMs };
    if (noticeMs === 0) end(world, instance);
    else world.timetable.after(noticeMs, () => end(world, instance));
  }
  return chosen.map(({ instanceId }) => instanceId);
}

/** Says on the machine that it is at elevated risk of being interrupted. */
export function recommendRebalance(world: World, instanceId: string): void {
  spotInstance(world, instanceId).rebalanceNoticedAtMs = world.clock.nowMs();
}

function chosenBy(world: World, preemption: Preemption): readonly Instance[] {
  if (preemption.instanceId !== undefined) return [spotInstance(world, preemption.instanceId)];
  const matching = world.fleet
    .all()
    .filter(
      (one) => isLive(one) && one.spec.market === "spot" && selects(preemption, userOf(one.spec)),
    );
  return matching.slice(0, Math.round(matching.length * (preemption.fraction ?? 1)));
}

function end(world: World, instance: Instance): void {
  const code = "Server.SpotInstanceTermination";
  world.fleet.terminate(instance, { code, message: `${code}: Spot instance termination` });
}

function spotInstance(world: World, instanceId: string): Instance {
  const instance = world.fleet.find(instanceId);
  if (instance === undefined) throw refuse("not_found", instanceId, "there is no such instance");
  if (instance.spec.market === "spot") return instance;
  throw refuse("invalid_request", instanceId, "only spot instances are reclaimed");
}

function refuse(
  code: "not_found" | "invalid_request",
  instanceId: string,
  why: string,
): PlatformError {
  const message = `cannot reclaim ${instanceId}: ${why}`;
  return new PlatformError(message, { code, retryable: false, details: { instanceId } });
}
