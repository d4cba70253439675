/** The page's tables: policies side by side, parts of the cost, functions. */
import {
  overBaseline,
  type Comparison,
  type FunctionSummary,
  type PolicyComparison,
  type Spread,
} from "../compare.ts";
import { countText, headerOf, percentText, rangeText, usdText, valueText } from "../format.ts";
import { METRIC_GROUPS, METRICS, type MetricUnit } from "../metrics.ts";
import { markup, type Markup } from "./markup.ts";

/** Functions that are shown at once; the others unfold. */
const FUNCTION_COUNT_SHOWN = 20;

/** All figures of all policies: one column a policy, one line a figure. */
export function comparisonTable(comparison: Comparison): Markup {
  const { policies } = comparison;
  const groups = METRIC_GROUPS.map((group) => {
    const lines = METRICS.filter((metric) => metric.group === group).map((metric) =>
      figureRow(
        headerOf(metric),
        metric.unit,
        policies.map(({ metrics }) => metrics.get(metric.name)),
      ),
    );
    const width = policies.length + 1;
    return markup`<tbody>
<tr class="group"><th scope="rowgroup" colspan="${width}">${capitalized(group)}</th></tr>
${lines}
${group === "cost" ? baselineRows(comparison) : []}
</tbody>`;
  });
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Policies side by side">
<table>
<thead><tr><th scope="col">Figure</th>
${policies.map(({ policy, seeds }) => policyHeader(policy, seeds.length))}
</tr></thead>
${groups}
</table></div>`;
}

/** Parts of what a policy paid, by one key, the largest first. */
export function costTable(
  title: string,
  byKey: Readonly<Record<string, number>>,
  paidMicroUsd: number,
): Markup {
  const rows = Object.entries(byKey).toSorted(([, left], [, right]) => right - left);
  return markup`<div><table>
<thead><tr><th scope="col">${title}</th><th scope="col">USD</th><th scope="col">%</th></tr></thead>
<tbody>
${rows.map(([key, microUsd]) => {
  const fraction = paidMicroUsd > 0 ? microUsd / paidMicroUsd : 0;
  return markup`<tr><th scope="row">${key}<span class="bar" style="width:${percentText(fraction, 1)}%"></span></th>
<td>${usdText(microUsd)}</td><td>${percentText(fraction, 1)}</td></tr>`;
})}
</tbody></table></div>`;
}

/** Waits of a policy's functions, the most used first. */
export function functionTables({ functions }: PolicyComparison): Markup {
  if (functions.length === 0) return markup`<p class="note">No function was simulated.</p>`;
  const shown = functions.slice(0, FUNCTION_COUNT_SHOWN);
  const others = functions.slice(FUNCTION_COUNT_SHOWN);
  if (others.length === 0) return functionTable(shown);
  return markup`${functionTable(shown)}
<details><summary>${others.length} more functions</summary>
${functionTable(others)}
</details>`;
}

/** A table's line of figures with the range over seeds below each. */
function figureRow(
  label: string,
  unit: MetricUnit,
  spreads: readonly (Spread | undefined)[],
): Markup {
  return markup`<tr><th scope="row">${label}</th>
${spreads.map((spread, index) => figureCell(spread, unit, index === 0))}</tr>`;
}

function figureCell(spread: Spread | undefined, unit: MetricUnit, isFirst: boolean): Markup {
  const range = rangeText(spread, unit);
  const below = range === "" ? undefined : markup`<span class="range">${range}</span>`;
  return markup`<td class="${isFirst ? "first" : ""}">${valueText(spread?.mean, unit)}${below}</td>`;
}

function policyHeader(policy: string, seedCount: number): Markup {
  return markup`<th scope="col">${policy}<span class="range">${seedCount}
${seedCount === 1 ? "seed" : "seeds"}</span></th>`;
}

function baselineRows({ policies, baselines }: Comparison): readonly Markup[] {
  return baselines.map((baseline) =>
    figureRow(
      `cost / ${baseline}`,
      "ratio",
      policies.map((policy) => overBaseline(policy, baseline)),
    ),
  );
}

function functionTable(functions: readonly FunctionSummary[]): Markup {
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="Functions"><table>
<thead><tr><th scope="col">Function</th><th scope="col">inputs</th>
<th scope="col">wait p50, s</th><th scope="col">wait p99, s</th>
<th scope="col">first instruction p99, s</th><th scope="col">misses, %</th>
<th scope="col">cold starts, %</th><th scope="col">starts</th><th scope="col">evictions</th></tr></thead>
<tbody>
${functions.map(functionRow)}
</tbody></table></div>`;
}

function functionRow(summary: FunctionSummary): Markup {
  return markup`<tr><th scope="row">${summary.functionId}</th>
<td>${countText(Math.round(summary.inputs))}</td>
<td>${valueText(summary.slotP50Ms, "ms")}</td>
<td>${valueText(summary.slotP99Ms, "ms")}</td>
<td>${valueText(summary.firstInstructionP99Ms, "ms")}</td>
<td>${valueText(summary.missFraction, "fraction")}</td>
<td>${valueText(summary.coldStartFraction, "fraction")}</td>
<td>${countText(Math.round(summary.containerStarts))}</td>
<td>${countText(Math.round(summary.evictions))}</td></tr>`;
}

function capitalized(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
