/** `flotilla plan`: which machines the optimizer wants, and why. */
import type { PlanSummary } from "../../sdk/protocol/index.ts";
import { getJson } from "./api-client.ts";
import { columns } from "./columns.ts";
import { CommandError, settle } from "./outcome.ts";
import { asksForFiles, type PlanOptions } from "./plan/options.ts";

/**
 * Prints the plan in force, or says that there is none yet. With files it makes a plan of its
 * own, without a platform.
 */
export async function runPlan(options: PlanOptions): Promise<void> {
  if (asksForFiles(options)) {
    const { runPlanFromFiles } = await import("./plan/run.ts");
    await runPlanFromFiles(options);
    return;
  }
  await settle(async () => {
    const plan = await currentPlan();
    if (options.json === true) console.log(JSON.stringify({ plan: plan ?? null }));
    else if (plan === undefined) console.log("No plan: nothing asks for a rented machine.");
    else console.log(planText(plan));
  });
}

/** The plan as text for people: how it was made, its lines, and what it leaves unmet. */
export function planText(plan: PlanSummary): string {
  const head =
    `Plan ${plan.planId} (${plan.status}) by ${plan.solver} in ${Math.round(plan.solveMs)} ms ` +
    `from ${plan.offersConsidered} offers`;
  const unmet = plan.unmet.map(
    ({ classId, quantity, reason }) => `✖ unmet: ${quantity} of ${classId}: ${reason}`,
  );
  const lines = plan.lines.length === 0 ? "No machines are wanted." : lineTable(plan);
  return [head, costText(plan), lines, ...unmet].join("\n");
}

/** What the machines cost, and what the plan was measured by: rent and penalties together. */
function costText(plan: PlanSummary): string {
  const rent = plan.lines.reduce((sum, line) => sum + line.usdPerHour * line.count, 0);
  const penalties = Object.entries(plan.terms)
    .filter(([term, usd]) => term !== "rent" && usd >= 0.005)
    .map(([term, usd]) => ` + ${dollars(usd)} ${term}`);
  const gapPercent = (plan.gapFraction * 100).toFixed(2);
  return (
    `machines ${dollars(rent)}/h; weighed as ${dollars(plan.terms["rent"] ?? rent)} rent` +
    `${penalties.join("")} = ${dollars(plan.objectiveUsdPerHour)}/h, ` +
    `where no plan is below ${dollars(plan.boundUsdPerHour)}/h (gap ${gapPercent} %)`
  );
}

function dollars(usd: number): string {
  return `$${usd.toFixed(2)}`;
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
