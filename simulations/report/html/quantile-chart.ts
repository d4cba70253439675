/** Quantiles of waits by policy, on a logarithmic scale: from the usual to the worst. */
import { MISS_WAIT_MS } from "../../result.ts";
import type { Comparison, PolicyComparison, Spread } from "../compare.ts";
import { secondsText, spreadText } from "../format.ts";
import type { MetricName } from "../metrics.ts";
import { markup, type Markup } from "./markup.ts";
import { seriesColor } from "./palette.ts";
import { coordinate, horizontalLine, legendList, percent, plotFigure } from "./plot.ts";
import { logScale, type Scale } from "./scale.ts";
import { waitLabel } from "./time-charts.ts";

const QUANTILES: readonly { readonly name: MetricName; readonly label: string }[] = [
  { name: "slotP50Ms", label: "p50" },
  { name: "slotP90Ms", label: "p90" },
  { name: "slotP99Ms", label: "p99" },
  { name: "slotP999Ms", label: "p99.9" },
  { name: "slotMaxMs", label: "max" },
];

/** Waits below this stand at the foot of the chart. */
const WAIT_FLOOR_MS = 10;
const DASHES = ["", "7 4", "2 3", "9 3 2 3"];
const DASH_NAMES = ["solid", "dashed", "dotted", "dashed"] as const;

interface PlacedQuantile {
  readonly label: string;
  readonly spread: Spread;
  readonly x: number;
}

/** The chart, or a note when no input came. */
export function quantileChart({ policies }: Comparison): Markup {
  const lines = policies.map((policy) => ({ policy, points: quantilesOf(policy) }));
  const all = lines.flatMap(({ points }) => points.map(({ spread }) => spread.max));
  if (all.length === 0) return markup`<p class="note">No input came, so none waited.</p>`;
  const scale = logScale(WAIT_FLOOR_MS, Math.max(MISS_WAIT_MS * 5, ...all), waitLabel);
  return plotFigure({
    caption: "Wait for a slot in s, by quantile of inputs; bars span the seeds",
    description: lines.map(({ policy, points }) => sentenceOf(policy, points)).join(" "),
    heightPx: 280,
    xTicks: QUANTILES.map(({ label }, index) => ({ at: quantilePlace(index), label })),
    yTicks: scale.ticks,
    drawing: [
      horizontalLine(scale.place(MISS_WAIT_MS), "grid rule"),
      ...lines.flatMap(({ points }, index) => drawLine(points, index, scale)),
    ],
    overlay: [
      markup`<span class="name" aria-hidden="true" style="left:4px;bottom:${percent(
        scale.place(MISS_WAIT_MS),
      )};color:var(--soft)">a miss: over 2 s</span>`,
      ...lines.flatMap(({ policy, points }, index) => dots(policy, points, { index, scale })),
    ],
    legend: legendList(
      lines.map(({ policy }, index) => ({
        name: policy.policy,
        color: seriesColor(index),
        line: DASH_NAMES[index % DASH_NAMES.length] ?? "solid",
      })),
    ),
  });
}

function quantilesOf({ metrics }: PolicyComparison): readonly PlacedQuantile[] {
  return QUANTILES.flatMap(({ name, label }, index) => {
    const spread = metrics.get(name);
    return spread === undefined ? [] : [{ label, spread, x: quantilePlace(index) }];
  });
}

function quantilePlace(index: number): number {
  return 0.06 + (0.88 * index) / (QUANTILES.length - 1);
}

function sentenceOf({ policy }: PolicyComparison, points: readonly PlacedQuantile[]): string {
  const figures = points.map(({ label, spread }) => `${label} ${secondsText(spread.mean)}`);
  return `${policy}: ${figures.join(", ")} seconds.`;
}

function drawLine(
  points: readonly PlacedQuantile[],
  index: number,
  scale: Scale,
): readonly Markup[] {
  const color = seriesColor(index);
  const at = (value: number): number => coordinate(1 - scale.place(value));
  const d = points.map(({ x, spread }) => `${coordinate(x)},${at(spread.mean)}`).join("L");
  const dash = DASHES[index % DASHES.length] ?? "";
  return [
    markup`<path class="stroke" style="stroke:${color};stroke-dasharray:${dash || "none"}" d="M${d}"/>`,
    ...points.map(
      ({ x, spread }) => markup`<path class="stroke" style="stroke:${color};stroke-width:5"
d="M${coordinate(x)},${at(spread.min)}V${at(spread.max)}"/>`,
    ),
  ];
}

function dots(
  { policy }: PolicyComparison,
  points: readonly PlacedQuantile[],
  { index, scale }: { readonly index: number; readonly scale: Scale },
): readonly Markup[] {
  return points.map(
    ({ label, spread, x }) => markup`<span class="dot" data-tip="${policy}
${label}: ${spreadText(spread, "ms")} s" style="left:${percent(x)};bottom:${percent(
      scale.place(spread.mean),
    )};background:${seriesColor(index)}"></span>`,
  );
}
