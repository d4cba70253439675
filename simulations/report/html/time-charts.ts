/** What went on over time in the first seed of the first policy: money, GPUs and waits. */
import { MS_PER_HOUR, usdFromMicroUsd } from "../../../core/index.ts";
import { MISS_WAIT_MS, type Timeline } from "../../result.ts";
import type { PolicyComparison } from "../compare.ts";
import { countText, fixedText, secondsText, usdText } from "../format.ts";
import {
  groupingOf,
  groupMaxima,
  groupMeans,
  groupSums,
  largestSeries,
  type Grouping,
  type NamedSeries,
} from "./downsample.ts";
import { markup, type Markup } from "./markup.ts";
import { seriesColor, SERIES_COLOR_COUNT } from "./palette.ts";
import {
  areaPath,
  horizontalLine,
  hoverColumns,
  legendList,
  linePath,
  plotFigure,
} from "./plot.ts";
import { elapsedScale, linearScale, logScale, type Scale } from "./scale.ts";

/** Points of a curve over time: about one for two pixels of a wide page. */
const POINT_COUNT_MAX = 420;
/** Waits below this are drawn as this: nobody tells them apart. */
const WAIT_FLOOR_MS = 10;

/** Cost per hour over time, stacked by offer. */
export function costChart({ timeline }: PolicyComparison): Markup {
  const all = Object.entries(timeline.costByOffer).map(([name, values]) => ({ name, values }));
  if (all.length === 0) return markup`<p class="note">Nothing was paid in this run.</p>`;
  const grouping = groupingOf(bucketCountOf(timeline), POINT_COUNT_MAX);
  const layers = largestSeries(all, {
    countMax: SERIES_COLOR_COUNT,
    restName: (count) => `${count} other offers`,
  }).map(({ name, values }) => ({ name, values: perHour(values, timeline, grouping) }));
  const total = stackTop(layers);
  const scale = linearScale(0, Math.max(...total), { label: countText });
  const description =
    `Cost per hour, stacked by offer. Highest ${fixedText(Math.max(...total), 0)} USD per hour; ` +
    `most went to ${layers[0]?.name ?? "no offer"}.`;
  return plotFigure({
    caption: "USD per hour",
    description,
    heightPx: 300,
    xTicks: elapsed(timeline).ticks,
    yTicks: scale.ticks,
    drawing: [
      ...stackedAreas(layers, scale),
      hoverColumns(
        total.map((usd, index) => tip(timeline, grouping, index, ["total", usd], layers)),
      ),
    ],
    legend: legendList(
      layers.map(({ name }, index) => ({ name, color: seriesColor(index) })).toReversed(),
    ),
  });
}

/** The fleet in bands from busy to booting, with the line of demand. */
export function fleetChart({ timeline }: PolicyComparison): Markup {
  const grouping = groupingOf(bucketCountOf(timeline), POINT_COUNT_MAX);
  const lines = fleetLines(timeline, grouping);
  const top = Math.max(greatest(lines.paid), greatest(lines.offered), 1);
  const scale = linearScale(0, top, { label: countText });
  return plotFigure({
    caption: "GPUs",
    description:
      `The fleet against demand. At most ${countText(Math.ceil(greatest(lines.paid)))} GPUs ` +
      `paid and ${countText(Math.ceil(greatest(lines.busy)))} busy.`,
    heightPx: 320,
    xTicks: elapsed(timeline).ticks,
    yTicks: scale.ticks,
    drawing: [
      band(zeros(lines.busy), lines.busy, { color: "var(--busy)", scale }),
      band(lines.busy, lines.held, { color: "var(--warm)", scale }),
      band(lines.held, lines.ready, { color: "var(--free)", scale }),
      band(lines.ready, lines.paid, { color: "var(--boot)", scale }),
      markup`<path class="stroke" style="stroke:var(--strong);stroke-width:1.3"
d="${linePath(lines.offered.map(scale.place))}"/>`,
      hoverColumns(lines.busy.map((_, index) => fleetTip(timeline, grouping, index, lines))),
    ],
    legend: legendList([
      { name: "offered load", color: "var(--strong)", line: "solid" },
      { name: "booting or draining", color: "var(--boot)" },
      { name: "ready and free", color: "var(--free)" },
      { name: "held by idle or starting containers", color: "var(--warm)" },
      { name: "busy", color: "var(--busy)" },
    ]),
  });
}

/** The idle part of the fleet on a scale of its own, with the buffer that plans asked for. */
export function bufferChart({ timeline }: PolicyComparison): Markup {
  const grouping = groupingOf(bucketCountOf(timeline), POINT_COUNT_MAX);
  const lines = fleetLines(timeline, grouping);
  const above = (values: readonly number[]): number[] =>
    values.map((gpus, index) => Math.max(0, gpus - (lines.busy[index] ?? 0)));
  const [warm, idle] = [above(lines.held), above(lines.ready)];
  const top = Math.max(greatest(idle), greatest(lines.buffer), 1);
  const scale = linearScale(0, top, { tickCount: 3, label: countText });
  return plotFigure({
    caption: "Idle GPUs on ready nodes: the buffer",
    description:
      `The buffer over time: at most ${countText(Math.round(greatest(idle)))} idle GPUs, and ` +
      `at most ${countText(Math.round(greatest(lines.buffer)))} asked for by plans.`,
    heightPx: 150,
    xTicks: elapsed(timeline).ticks,
    yTicks: scale.ticks,
    drawing: [
      band(zeros(warm), warm, { color: "var(--warm)", scale }),
      band(warm, idle, { color: "var(--free)", scale }),
      markup`<path class="stroke" style="stroke:var(--strong);stroke-width:1.3"
d="${linePath(lines.buffer.map(scale.place))}"/>`,
      hoverColumns(
        idle.map((gpus, index) =>
          [
            moment(timeline, grouping, index),
            `${countText(Math.round(gpus))} idle`,
            `${countText(Math.round(lines.buffer[index] ?? 0))} asked for`,
          ].join("\n"),
        ),
      ),
    ],
    legend: legendList([
      { name: "asked for by plans", color: "var(--strong)", line: "solid" },
      { name: "ready and free", color: "var(--free)" },
      { name: "held by idle or starting containers", color: "var(--warm)" },
    ]),
  });
}

/** p99 of waits over time, one strip a policy, on one scale. */
export function waitStrips(policies: readonly PolicyComparison[]): readonly Markup[] {
  const worst = Math.max(
    MISS_WAIT_MS * 5,
    ...policies.map(({ timeline }) => greatest(timeline.slotWaitP99Ms)),
  );
  const scale = logScale(WAIT_FLOOR_MS, worst, waitLabel);
  return policies.map(({ policy, timeline, seeds }, index) => {
    const grouping = groupingOf(bucketCountOf(timeline), POINT_COUNT_MAX);
    const waits = groupMaxima(timeline.slotWaitP99Ms, grouping);
    const places = waits.map(scale.place);
    const misses = timeline.slotWaitP99Ms.filter((waitMs) => waitMs > MISS_WAIT_MS).length;
    return plotFigure({
      caption: `${policy}, seed ${seeds[0] ?? 0}: p99 of waits in s`,
      description:
        `Waits of ${policy} over time: p99 at most ${secondsText(greatest(waits))} seconds, ` +
        `over 2 seconds in ${misses} of ${timeline.slotWaitP99Ms.length} moments.`,
      heightPx: 84,
      xTicks: index === policies.length - 1 ? elapsed(timeline).ticks : [],
      yTicks: scale.ticks.filter((_, tick) => tick % 2 === 0),
      drawing: [
        markup`<path style="fill:${seriesColor(index)}"
d="${areaPath(zeros(places), places)}"/>`,
        horizontalLine(scale.place(MISS_WAIT_MS), "grid rule"),
        hoverColumns(
          waits.map(
            (waitMs, point) => `${moment(timeline, grouping, point)}\np99 ${secondsText(waitMs)} s`,
          ),
        ),
      ],
    });
  });
}

/** A wait on an axis, in seconds: `0.01`, `1`, `1,000`. */
export function waitLabel(waitMs: number): string {
  return waitMs >= 1_000 ? countText(waitMs / 1_000) : String(waitMs / 1_000);
}

function bucketCountOf(timeline: Timeline): number {
  return timeline.paidGpus.length;
}

function elapsed(timeline: Timeline): Scale {
  return elapsedScale(bucketCountOf(timeline) * timeline.bucketMs);
}

function greatest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function perHour(values: readonly number[], { bucketMs }: Timeline, grouping: Grouping): number[] {
  return groupSums(values, grouping).map((microUsd, group) => {
    const buckets = Math.min(grouping.size, values.length - group * grouping.size);
    return usdFromMicroUsd(microUsd) / ((buckets * bucketMs) / MS_PER_HOUR);
  });
}

function stackTop(layers: readonly NamedSeries[]): readonly number[] {
  const [first] = layers;
  return (first?.values ?? []).map((_, index) =>
    layers.reduce((sum, { values }) => sum + (values[index] ?? 0), 0),
  );
}

function stackedAreas(layers: readonly NamedSeries[], scale: Scale): readonly Markup[] {
  let lower = stackTop(layers).map(() => 0);
  return layers.map(({ values }, index) => {
    const upper = lower.map((below, point) => below + (values[point] ?? 0));
    const d = areaPath(lower.map(scale.place), upper.map(scale.place));
    lower = upper;
    return markup`<path style="fill:${seriesColor(index)}" d="${d}"/>`;
  });
}

function moment({ bucketMs }: Timeline, { size }: Grouping, index: number): string {
  const hours = (index * size * bucketMs) / MS_PER_HOUR;
  const day = Math.floor(hours / 24);
  return `day ${day + 1}, ${fixedText(hours - day * 24, 1)} h`;
}

function tip(
  timeline: Timeline,
  grouping: Grouping,
  index: number,
  [totalName, total]: readonly [string, number],
  layers: readonly NamedSeries[],
): string {
  const lines = layers
    .toReversed()
    .map(({ name, values }) => `${usdText((values[index] ?? 0) * 1e6)}  ${name}`);
  const head = `${moment(timeline, grouping, index)}\n${usdText(total * 1e6)}  ${totalName}, USD/h`;
  return [head, ...lines].join("\n");
}

interface FleetLines extends Readonly<Record<string, readonly number[]>> {
  readonly paid: readonly number[];
  readonly ready: readonly number[];
  readonly held: readonly number[];
  readonly busy: readonly number[];
  readonly offered: readonly number[];
  readonly buffer: readonly number[];
}

function fleetLines(timeline: Timeline, grouping: Grouping): FleetLines {
  const means = (values: readonly number[]): number[] => groupMeans(values, grouping);
  return {
    paid: means(timeline.paidGpus),
    ready: means(timeline.readyGpus),
    held: means(timeline.heldGpus),
    busy: means(timeline.busyGpus),
    offered: means(timeline.offeredGpus),
    buffer: means(timeline.bufferGpus),
  };
}

function band(
  lower: readonly number[],
  upper: readonly number[],
  { color, scale }: { readonly color: string; readonly scale: Scale },
): Markup {
  const d = areaPath(lower.map(scale.place), upper.map(scale.place));
  return markup`<path style="fill:${color}" d="${d}"/>`;
}

function zeros(values: readonly number[]): readonly number[] {
  return values.map(() => 0);
}

function fleetTip(
  timeline: Timeline,
  grouping: Grouping,
  index: number,
  lines: FleetLines,
): string {
  const figures = Object.entries(lines).map(
    ([name, values]) => `${countText(Math.round(values[index] ?? 0))} ${name}`,
  );
  return [moment(timeline, grouping, index), ...figures].join("\n");
}
