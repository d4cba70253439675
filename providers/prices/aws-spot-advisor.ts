/**
 * What the AWS Spot Advisor publishes: the saving over on-demand and how often machines are
 * interrupted, by region and instance type, over the last month.
 *
 * Source: the file behind aws.amazon.com/ec2/spot/instance-advisor (spot-advisor-data.json). AWS
 * does not document it; the layout is that which the page reads: `s` is the saving in percent,
 * `r` the index of a range of interruptions.
 */
import { z } from "zod";
import type { InterruptionBucket } from "../catalog/index.ts";
import { inLayout } from "./layout.ts";

/** Of one instance type in one region. */
export interface SpotAdvice {
  /** Share of the on-demand price that is saved, 0..1 and below 1. */
  readonly savingFraction: number;
  readonly interruptions: InterruptionBucket;
}

/** Advice by instance type, by region. */
export type SpotAdvisor = ReadonlyMap<string, ReadonlyMap<string, SpotAdvice>>;

const BUCKETS: readonly InterruptionBucket[] = ["<5%", "5-10%", "10-15%", "15-20%", ">20%"];

const FILE = z.object({
  ranges: z.array(z.object({ index: z.number().int(), label: z.string() })),
  spot_advisor: z.record(
    z.string(),
    z.object({
      Linux: z.record(z.string(), z.object({ s: z.number(), r: z.number().int() })).optional(),
    }),
  ),
});

/** The advice of a file; entries out of range are left out. @throws PlatformError `unavailable` */
export function parseSpotAdvisor(file: unknown): SpotAdvisor {
  const { ranges, spot_advisor: regions } = inLayout(FILE, file, "the Spot Advisor's file");
  const buckets = new Map(
    ranges.map(({ index, label }) => [index, BUCKETS.find((bucket) => bucket === label)]),
  );
  return new Map(
    Object.entries(regions).map(([region, { Linux: types = {} }]) => [
      region,
      new Map(
        Object.entries(types).flatMap(([instanceType, { s, r }]) => {
          const interruptions = buckets.get(r);
          if (interruptions === undefined || s < 0 || s >= 100) return [];
          return [[instanceType, { savingFraction: s / 100, interruptions }] as const];
        }),
      ),
    ]),
  );
}
