/**
 * The frame that charts share. The drawing stretches with the page and its lines keep their
 * width; what is written beside it is HTML, so that it is as large on a phone as on a desk.
 */
import { markup, type Markup } from "./markup.ts";
import type { Tick } from "./scale.ts";

/** Drawings are made in a square of this side, stretched to the plot; y grows downwards. */
export const PLOT_SIDE = 1_000;

export interface Plot {
  /** What the chart shows and says, in a sentence, for those who do not see it. */
  readonly description: string;
  /** Above the chart: what it shows, with the unit. */
  readonly caption: string;
  readonly heightPx: number;
  readonly xTicks: readonly Tick[];
  readonly yTicks: readonly Tick[];
  /** SVG in the plot's square. */
  readonly drawing: readonly Markup[];
  /** HTML laid over the drawing, placed in percent. */
  readonly overlay?: readonly Markup[];
  readonly legend?: Markup;
}

export interface LegendEntry {
  readonly name: string;
  readonly color: string;
  /** Absent for areas and marks. */
  readonly line?: "solid" | "dashed" | "dotted";
  /** The shape of a mark; absent for areas and lines. */
  readonly mark?: "hollow" | "diamond" | "ring" | "square";
}

/** A chart with its axes and legend. */
export function plotFigure(plot: Plot): Markup {
  return markup`<figure>
<figcaption>${plot.caption}</figcaption>
<div class="plot" style="--height:${plot.heightPx}px">
<svg role="img" aria-label="${plot.description}" viewBox="0 0 ${PLOT_SIDE} ${PLOT_SIDE}"
preserveAspectRatio="none">
${plot.yTicks.map(({ at }) => horizontalLine(at, "grid"))}
${plot.drawing}
</svg>
${plot.xTicks.map(xTick)}
${plot.yTicks.map(yTick)}
${plot.overlay}
</div>
${plot.legend}
</figure>`;
}

/** A line across the plot at a place of the y axis. */
export function horizontalLine(at: number, classes: string): Markup {
  const y = coordinate(1 - at);
  return markup`<line class="${classes}" x1="0" x2="${PLOT_SIDE}" y1="${y}" y2="${y}"/>`;
}

/** What the colours and dashes mean, in the order of the drawing. */
export function legendList(entries: readonly LegendEntry[]): Markup {
  const items = entries.map((entry) => markup`<li>${swatch(entry)}${entry.name}</li>`);
  return markup`<ul class="legend">
${items}
</ul>`;
}

function swatch({ color, line, mark }: LegendEntry): Markup {
  if (line !== undefined) {
    return markup`<span class="swatch line" style="border-color:${color};border-top-style:${line}"></span>`;
  }
  if (mark === undefined) return markup`<span class="swatch" style="background:${color}"></span>`;
  const paint = mark === "diamond" || mark === "square" ? "background" : "border-color";
  return markup`<span class="swatch ${mark}" style="${paint}:${color}"></span>`;
}

/** One transparent column a point, which says the point's figures when pointed at. */
export function hoverColumns(texts: readonly string[]): Markup {
  const width = PLOT_SIDE / Math.max(1, texts.length);
  const columns = texts.map(
    (text, index) =>
      markup`<rect data-tip="" x="${rounded(index * width)}" y="0" width="${rounded(width)}"
height="${PLOT_SIDE}"><title>${text}</title></rect>`,
  );
  return markup`<g class="hover">
${columns}
</g>`;
}

/** Points in the middle of their columns, joined by straight lines; the path's `d`. */
export function linePath(places: readonly number[]): string {
  return `M${columnPoints(places).join("L")}`;
}

/** The area between two lines of one length, as a path's `d`. */
export function areaPath(lower: readonly number[], upper: readonly number[]): string {
  return `M${columnPoints(upper).join("L")}L${columnPoints(lower).toReversed().join("L")}Z`;
}

/** A place, 0..1, in the plot's square, short enough for a file. */
export function coordinate(place: number): number {
  return rounded(place * PLOT_SIDE);
}

function columnPoints(places: readonly number[]): readonly string[] {
  const [only] = places;
  if (only !== undefined && places.length === 1) return columnPoints([only, only]);
  const last = Math.max(1, places.length);
  return places.map((place, index) => {
    // The outermost points reach the edges, so that an area fills its plot.
    const middle = index === 0 ? 0 : index === places.length - 1 ? last : index + 0.5;
    return `${coordinate(middle / last)},${coordinate(1 - place)}`;
  });
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}

function xTick({ at, label }: Tick): Markup {
  const classes = at > 0.97 ? "tick x last" : "tick x";
  return markup`<span class="${classes}" aria-hidden="true" style="left:${percent(at)}">${label}</span>`;
}

function yTick({ at, label }: Tick): Markup {
  return markup`<span class="tick y" aria-hidden="true" style="bottom:${percent(at)}">${label}</span>`;
}

/** A place in percent, for `style`. */
export function percent(place: number): string {
  return `${Math.round(place * 10_000) / 100}%`;
}
