/** The figures of one flight that an objective may be made of, by name. */
import { MS_PER_HOUR, usdFromMicroUsd } from "../../core/index.ts";
import { METRICS, ratioOf, type MetricName } from "../report/metrics.ts";
import type { SimulationResult } from "../result.ts";

/** Figures by name; what a flight says nothing about is absent. Plain data. */
export type Figures = Readonly<Record<string, number>>;

/** Names of the waits as people write them in objectives, and of what reports call otherwise. */
const ALIASES: Readonly<Record<string, MetricName>> = {
  waitP50Ms: "slotP50Ms",
  waitP90Ms: "slotP90Ms",
  waitP99Ms: "slotP99Ms",
  waitP999Ms: "slotP999Ms",
  waitMaxMs: "slotMaxMs",
  utilization: "usefulFraction",
};

type Read = (result: SimulationResult) => number | undefined;

/** Not in reports: what is paid, in USD an hour, so that it does not depend on how long a run is. */
const OWN: Readonly<Record<string, Read>> = {
  cost: ({ cost, fromMs, untilMs }) =>
    ratioOf(usdFromMicroUsd(cost.paidMicroUsd) * MS_PER_HOUR, untilMs - fromMs),
  waitMeanMs: ({ inputs, waits }) => (inputs > 0 ? waits.slot.meanMs : undefined),
  reclaimsPerHour: ({ fleet, fromMs, untilMs }) =>
    ratioOf(fleet.reclaims * MS_PER_HOUR, untilMs - fromMs),
};

const READERS: readonly (readonly [string, Read])[] = [
  ...Object.entries(OWN),
  ...Object.entries(ALIASES).flatMap(([name, of]) => {
    const metric = METRICS.find((one) => one.name === of);
    return metric === undefined ? [] : [[name, metric.read] as const];
  }),
  ...METRICS.map(({ name, read }) => [name, read] as const),
];

/**
 * All names, those of objectives first. `cost` is in USD an hour; the others have their unit at
 * the end of their name, and fractions are 0..1.
 */
export const FIGURE_NAMES: readonly string[] = READERS.map(([name]) => name);

/** The figures of a flight. */
export function figuresOf(result: SimulationResult): Figures {
  return Object.fromEntries(
    READERS.flatMap(([name, read]) => {
      const value = read(result);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
