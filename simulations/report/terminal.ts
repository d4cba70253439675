/** A comparison as plain text for a terminal: no colours, so that it can be piped and kept. */
import {
  overBaseline,
  type Comparison,
  type FunctionSummary,
  type PolicyComparison,
} from "./compare.ts";
import {
  countText,
  durationText,
  headerOf,
  IDENTITY_RULE,
  identityText,
  NO_FIGURE,
  percentText,
  spreadColumn,
  usdText,
  valueText,
} from "./format.ts";
import { METRIC_GROUPS, METRICS, type Metric } from "./metrics.ts";
import { plainText, textTable, type TextTable } from "./text-table.ts";

/** The width that is assumed where nobody says one. */
export const TERMINAL_WIDTH_DEFAULT = 100;
/** Below this, tables are not made narrower. */
const TERMINAL_WIDTH_MIN = 60;
const FUNCTION_COUNT_MAX = 10;
const PLACE_COUNT_MAX = 12;

/**
 * The summary, ending in a line break.
 *
 * First what was flown, then all policies by group of figures with their spread over seeds,
 * then what the first policy paid for and how long its functions' inputs waited.
 *
 * @param widthColumns Columns of the terminal; wider tables go on below.
 */
export function terminalReport(
  comparison: Comparison,
  widthColumns = TERMINAL_WIDTH_DEFAULT,
): string {
  const width = Math.max(TERMINAL_WIDTH_MIN, widthColumns);
  const [subject] = comparison.policies;
  const sections: readonly (readonly string[])[] = [
    openingLines(comparison),
    ...METRIC_GROUPS.map((group) => section(titleOf(group), groupTable(comparison, group), width)),
    ...costSections(subject, width),
    functionSection(subject, width),
  ];
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function openingLines(comparison: Comparison): readonly string[] {
  const { fromMs, untilMs, inputs, seeds } = comparison;
  const spread = seeds.length > 1 ? "; figures are mean (min–max) over seeds" : "";
  return [
    plainText(`Simulation of ${identityText(comparison)}: ${IDENTITY_RULE}`),
    `${durationText(untilMs - fromMs)}, ${countText(Math.round(inputs.mean))} inputs${spread}`,
  ];
}

function titleOf(group: string): string {
  return `${group.charAt(0).toUpperCase()}${group.slice(1)} by policy`;
}

function section(title: string, table: TextTable, width: number): readonly string[] {
  return table.rows.length === 0 ? [] : [title, "", ...textTable(table, width)];
}

function groupTable(comparison: Comparison, group: Metric["group"]): TextTable {
  const { policies } = comparison;
  const metrics = METRICS.filter((metric) => metric.group === group);
  const baselines = group === "cost" ? comparison.baselines : [];
  const columns = [
    ...metrics.map(({ name, unit }) =>
      spreadColumn(
        policies.map((policy) => policy.metrics.get(name)),
        unit,
      ),
    ),
    ...baselines.map((baseline) =>
      spreadColumn(
        policies.map((policy) => overBaseline(policy, baseline)),
        "ratio",
      ),
    ),
  ];
  return {
    headers: [
      "policy",
      ...metrics.map(headerOf),
      ...baselines.map((baseline) => `cost / ${baseline}`),
    ],
    rows: policies.map(({ policy }, row) => [
      policy,
      ...columns.map((column) => column[row] ?? NO_FIGURE),
    ]),
  };
}

function costSections(
  { policy, cost }: PolicyComparison,
  width: number,
): readonly (readonly string[])[] {
  const parts: readonly (readonly [string, Readonly<Record<string, number>>])[] = [
    ["cloud", cost.byCloud],
    ["region", cost.byRegion],
    ["GPU type", cost.byGpuType],
    ["purchase option", cost.byPurchase],
  ];
  const only = parts.flatMap(([, byKey]) => (isOne(byKey) ? Object.keys(byKey) : []));
  return [
    // A table of one row says no more than its name.
    only.length === 0
      ? []
      : [
          plainText(
            `Cost of ${policy}: ${usdText(cost.paidMicroUsd)} USD, all of ${only.join(", ")}`,
          ),
        ],
    ...parts
      .filter(([, byKey]) => !isOne(byKey))
      .map(([name, byKey]) =>
        section(
          `Cost of ${plainText(policy)} by ${name}`,
          { headers: [name, "USD", "%"], rows: costRows(byKey, cost.paidMicroUsd) },
          width,
        ),
      ),
  ];
}

function isOne(byKey: Readonly<Record<string, number>>): boolean {
  return Object.keys(byKey).length === 1;
}

function costRows(
  byKey: Readonly<Record<string, number>>,
  paidMicroUsd: number,
): readonly (readonly string[])[] {
  const entries = Object.entries(byKey).toSorted(([, left], [, right]) => right - left);
  const shown = entries.slice(0, PLACE_COUNT_MAX);
  const others = entries.slice(PLACE_COUNT_MAX);
  const rest = others.reduce((sum, [, microUsd]) => sum + microUsd, 0);
  const lines = others.length === 0 ? shown : [...shown, [`${others.length} more`, rest] as const];
  return lines.map(([key, microUsd]) => [
    key,
    usdText(microUsd),
    paidMicroUsd > 0 ? percentText(microUsd / paidMicroUsd, 1) : NO_FIGURE,
  ]);
}

function functionSection(subject: PolicyComparison, width: number): readonly string[] {
  const shown = subject.functions.slice(0, FUNCTION_COUNT_MAX);
  const count = subject.functions.length;
  const part = shown.length === count ? "" : ` (${shown.length} of ${count})`;
  const title = `Waits of ${plainText(subject.policy)} by function${part}`;
  const table = { headers: FUNCTION_HEADERS, rows: shown.map(functionRow) };
  return section(title, table, width);
}

const FUNCTION_HEADERS = [
  "function",
  "inputs",
  "wait p50, s",
  "wait p99, s",
  "first instruction p99, s",
  "misses, %",
  "cold starts, %",
  "starts",
  "evictions",
];

function functionRow(summary: FunctionSummary): readonly string[] {
  return [
    summary.functionId,
    countText(Math.round(summary.inputs)),
    valueText(summary.slotP50Ms, "ms"),
    valueText(summary.slotP99Ms, "ms"),
    valueText(summary.firstInstructionP99Ms, "ms"),
    valueText(summary.missFraction, "fraction"),
    valueText(summary.coldStartFraction, "fraction"),
    countText(Math.round(summary.containerStarts)),
    countText(Math.round(summary.evictions)),
  ];
}
