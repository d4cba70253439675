/** A plan as text for people. */
import { columns } from "../columns.ts";
import type { LineDocument, NextBestDocument, PlanDocument } from "./plan-document.ts";

const SHADOW_PRICES_SHOWN = 10;
const UNMET_SHOWN = 20;
const NAMES_SHOWN = 6;
const REASON_INDENT = "    why: ";

/** The whole plan: lines with reasons, terms, unmet demand, prices of limits, rows passed over. */
export function planText(plan: PlanDocument): string {
  return [
    headText(plan),
    linesText(plan.lines),
    termsText(plan),
    ...unmetText(plan),
    ...shadowText(plan),
    ...rowsText(plan),
    ...plan.solverFailures.map((failure) => `Note: ${failure}`),
  ].join("\n\n");
}

/** `$12.30`; cheap things get four digits. */
export function dollars(usd: number): string {
  const digits = usd !== 0 && Math.abs(usd) < 0.1 ? 4 : 2;
  return `${usd < 0 ? "-" : ""}$${counted(Math.abs(usd), digits)}`;
}

/** A number with its thousands apart. */
export function counted(value: number, digits = 0): string {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

/** `p5.48xlarge spot`. */
export function machineText({ instanceType, purchase }: Offered): string {
  return `${instanceType} ${purchase}`;
}

/** `aws us-east-1`, or the zone where it is fixed. */
export function placeText({ cloud, region, zone }: Offered): string {
  return `${cloud} ${zone ?? region}`;
}

/** Cells of one column with their ends under each other. */
export function rightAligned(head: string, cells: readonly string[]): readonly string[] {
  const width = Math.max(head.length, ...cells.map((cell) => cell.length));
  return [head, ...cells].map((cell) => cell.padStart(width));
}

/** A table of columns that each start with their heading. */
export function tableOf(...byColumn: readonly (readonly string[])[]): string {
  const [head = [], ...rows] = Array.from({ length: byColumn[0]?.length ?? 0 }, (_, row) =>
    byColumn.map((column) => column[row] ?? ""),
  );
  return columns(head, rows);
}

type Offered = Pick<
  LineDocument | NextBestDocument,
  "cloud" | "region" | "zone" | "instanceType" | "purchase"
>;

function headText(plan: PlanDocument): string {
  const { status, solver, solveMs, offersConsidered, gapFraction } = plan;
  const rent = plan.lines.reduce((sum, line) => sum + line.usdPerHour, 0);
  const gap = `${(gapFraction * 100).toFixed(2)} %`;
  return (
    `Plan (${status}) by ${solver} in ${counted(solveMs)} ms ` +
    `from ${counted(offersConsidered)} offers\n` +
    `machines ${dollars(rent)}/h; objective ${dollars(plan.objectiveUsdPerHour)}/h, ` +
    `where no plan is below ${dollars(plan.boundUsdPerHour)}/h (gap ${gap})`
  );
}

function linesText(lines: readonly LineDocument[]): string {
  if (lines.length === 0) return "No machines are wanted.";
  const next = lines.map(({ nextBest }) => nextBest);
  const table = tableOf(
    ["MACHINE", ...lines.map(machineText)],
    ["WHERE", ...lines.map(placeText)],
    rightAligned(
      "COUNT",
      lines.map(({ count }) => counted(count)),
    ),
    rightAligned(
      "CHANGE",
      lines.map(({ delta }) => signed(delta)),
    ),
    rightAligned(
      "EACH/H",
      lines.map(({ usdPerHourEach }) => dollars(usdPerHourEach)),
    ),
    rightAligned(
      "ALL/H",
      lines.map(({ usdPerHour }) => dollars(usdPerHour)),
    ),
    ["NEXT BEST", ...next.map(nextText)],
    rightAligned(
      "INSTEAD/H",
      next.map((best) => (best ? dollars(best.usdPerHour) : "-")),
    ),
  );
  const [head = "", ...rows] = table.split("\n");
  const explained = rows.map(
    (row, index) => `${row}\n${REASON_INDENT}${lines[index]?.reason ?? ""}`,
  );
  return [head, ...explained].join("\n");
}

function nextText(next: NextBestDocument | null): string {
  return next === null ? "-" : `${next.count} x ${machineText(next)}, ${placeText(next)}`;
}

function signed(delta: number): string {
  return delta > 0 ? `+${counted(delta)}` : delta < 0 ? counted(delta) : "=";
}

function termsText({ terms, objectiveUsdPerHour }: PlanDocument): string {
  const shown = Object.entries(terms).filter(([, usd]) => usd !== 0);
  return tableOf(
    ["TERM", ...shown.map(([term]) => term), "objective"],
    rightAligned("USD/H", [...shown.map(([, usd]) => dollars(usd)), dollars(objectiveUsdPerHour)]),
  );
}

function unmetText({ unmet }: PlanDocument): readonly string[] {
  if (unmet.length === 0) return [];
  const shown = unmet
    .slice(0, UNMET_SHOWN)
    .map(
      ({ classId, scenarioId, quantity, reason }) =>
        `✖ ${counted(quantity)} of ${classId} in scenario ${scenarioId}: ${reason}`,
    );
  const hidden = unmet.length - shown.length;
  return [["UNMET", ...shown, ...(hidden > 0 ? [`and ${hidden} more`] : [])].join("\n")];
}

function shadowText({ shadowPrices }: PlanDocument): readonly string[] {
  if (shadowPrices.length === 0) return [];
  const shown = shadowPrices
    .toSorted((a, b) => b.usdPerUnit - a.usdPerUnit)
    .slice(0, SHADOW_PRICES_SHOWN);
  const hidden = shadowPrices.length - shown.length;
  const table = tableOf(
    ["LIMIT", ...shown.map(({ constraint }) => constraint)],
    rightAligned(
      "ONE MORE SAVES/H",
      shown.map(({ usdPerUnit }) => dollars(usdPerUnit)),
    ),
  );
  return [hidden > 0 ? `${table}\nand ${hidden} more` : table];
}

function rowsText({ offerRows }: PlanDocument): readonly string[] {
  const { read, passedOver } = offerRows;
  const passed = passedOver.reduce((sum, { rowCount }) => sum + rowCount, 0);
  if (passed === 0) return [];
  return [
    [
      `${counted(passed)} of ${counted(read)} rows of offers were passed over:`,
      ...passedOver.map(
        ({ reason, rowCount, names }) => `  ${counted(rowCount)}: ${reason}${namesText(names)}`,
      ),
    ].join("\n"),
  ];
}

function namesText(names: PlanDocument["offerRows"]["passedOver"][number]["names"]): string {
  if (names.length === 0) return "";
  const shown = names.slice(0, NAMES_SHOWN).map(({ name, rowCount }) => `${name} ${rowCount}`);
  const hidden = names.length - shown.length;
  return ` (${shown.join(", ")}${hidden > 0 ? ` and ${hidden} more` : ""})`;
}
