/** Two plans side by side as text for people. */
import type { Compared, Comparison } from "./comparison.ts";
import type { PlanDocument } from "./plan-document.ts";
import { counted, dollars, machineText, placeText, rightAligned, tableOf } from "./plan-text.ts";

/** Costs by term, lines that differ and unmet demand that differs, of two plans. */
export function comparisonText(
  changes: readonly string[],
  asGiven: PlanDocument,
  whatIf: PlanDocument,
  comparison: Comparison,
): string {
  return [
    ["What if", ...changes.map((change) => `  ${change}`)].join("\n"),
    costText(asGiven, whatIf, comparison),
    linesText(comparison),
    ...unmetText(comparison),
  ].join("\n\n");
}

function costText(asGiven: PlanDocument, whatIf: PlanDocument, comparison: Comparison): string {
  const terms = Object.entries(comparison.terms);
  const figures = [...terms.map(([, figure]) => figure), comparison.objectiveUsdPerHour];
  const gaps = [asGiven, whatIf].map(({ gapFraction }) => `${(gapFraction * 100).toFixed(2)} %`);
  const [first = "", second = ""] = gaps;
  return sideBySide(
    ["COST/H", ...terms.map(([term]) => term), "objective", "gap"],
    figures,
    dollars,
    [first, second, ""],
  );
}

function linesText({ lines }: Comparison): string {
  if (lines.length === 0) return "Both plans want the same machines.";
  const machines = [lines.map(machineText), lines.map(placeText)] as const;
  return sideBySide(["MACHINE", ...machines[0]], lines, counted, undefined, [
    "WHERE",
    ...machines[1],
  ]);
}

function unmetText({ unmet }: Comparison): readonly string[] {
  if (unmet.length === 0) return [];
  const names = unmet.map(({ classId, scenarioId }) => `${classId} in scenario ${scenarioId}`);
  const [head = "", ...rows] = sideBySide(["UNMET", ...names], unmet, counted).split("\n");
  const explained = rows.map((row, index) => `${row}\n    why: ${unmet[index]?.reason ?? ""}`);
  return [[head, ...explained].join("\n")];
}

/** A table of figures in both plans; `last` is one more row as it is. */
function sideBySide(
  names: readonly string[],
  figures: readonly Compared[],
  shown: (value: number) => string,
  last?: readonly [string, string, string],
  places?: readonly string[],
): string {
  const column = (head: string, of: (figure: Compared) => string, end?: string) =>
    rightAligned(head, [...figures.map(of), ...(end === undefined ? [] : [end])]);
  return tableOf(
    names,
    ...(places === undefined ? [] : [places]),
    column("AS GIVEN", (figure) => shown(figure.asGiven), last?.[0]),
    column("WHAT IF", (figure) => shown(figure.whatIf), last?.[1]),
    column("DIFFERENCE", (figure) => differenceText(figure.difference, shown), last?.[2]),
  );
}

function differenceText(difference: number, shown: (value: number) => string): string {
  if (difference === 0) return "=";
  return difference > 0 ? `+${shown(difference)}` : shown(difference);
}
