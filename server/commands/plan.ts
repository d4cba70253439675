/** `flotilla plan`: which machines the optimizer wants, and why. */
import type { PlanSummary } from "../../sdk/protocol/index.ts";
import { getJson } from "./api-client.ts";
import { columns } from "./columns.ts";
import { CommandError, settle } from "./outcome.ts";

/** Prints the plan in force, or says that there is none yet. */
export async function runPlan(options: { readonly json?: boolean }): Promise<void> {
  await settle(async () => {
    const plan = await currentPlan();
    if (options.json === true) console.log(JSON.stringify({ plan: plan ?? null }));
    else if (plan === undefined) console.log("No plan yet: nothing has asked for capacity.");
    else console.log(planText(plan));
  });
}

/** The plan as text for people: how it was made, its lines, and what it leaves unmet. */
export function planText(plan: PlanSummary): string {
  const head =
    `Plan ${plan.planId} (${plan.status}) by ${plan.solver} in ${Math.round(plan.solveMs)} ms ` +
    `from ${plan.offersConsidered} offers`;
  const gapPercent = (plan.gapFraction * 100).toFixed(2);
  const cost =
    `objective $${plan.objectiveUsdPerHour.toFixed(2)}/h, no plan can be below ` +
    `$${plan.boundUsdPerHour.toFixed(2)}/h (gap ${gapPercent} %)`;
  const unmet = plan.unmet.map(
    ({ classId, quantity, reason }) => `✖ unmet: ${quantity} of ${classId}: ${reason}`,
  );
  const lines = plan.lines.length === 0 ? "No machines are wanted." : lineTable(plan);
  return [head, cost, lines, ...unmet].join("\n");
}

function lineTable(plan: PlanSummary): string {
  const rows = plan.lines.map((line) => [
    `${line.instanceType} ${line.purchase}`,
    `${line.cloud} ${line.zone ?? line.region}`,
    `${line.count - line.delta} -> ${line.count}`,
    (line.usdPerHour * line.count).toFixed(2),
    line.reason,
  ]);
  return columns(["MACHINE", "WHERE", "NOW -> PLAN", "$/H", "WHY"], rows);
}

/** A server without a plan answers 204 or 404. */
async function currentPlan(): Promise<PlanSummary | undefined> {
  try {
    return (await getJson("/v1/plan")) as PlanSummary | undefined;
  } catch (error) {
    if (error instanceof CommandError && error.kind === "not_found") return undefined;
    throw error;
  }
}
