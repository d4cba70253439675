/**
 * Measured availability of spot machines.
 *
 * Source: spot-traces of Can't Be Late (NSDI 2024). Layout: JSON with `metadata.gap_seconds` and
 * `data`, a count for each tick: how many of the k machines that were asked for could be had, or
 * still ran. k is the most that a file ever shows.
 */
import { z } from "zod";
import { MS_PER_SECOND, PlatformError } from "../../core/index.ts";
import { mistakesError, readDocument } from "../../documents/index.ts";
import type { AvailabilityTrace } from "../world.ts";

const GAP_SECONDS_MAX = 1e6;

const layout = z.object({
  metadata: z.object({
    gap_seconds: z.number().positive().max(GAP_SECONDS_MAX).describe("Seconds between two ticks."),
  }),
  data: z.array(z.int().min(0)).min(1).describe("Machines at each tick."),
});

/**
 * How many machines of one zone can be had, over time: the measured share of those asked for,
 * times `nodeCountMax`, rounded to whole ones.
 *
 * @throws PlatformError `invalid_request` with the line of what is wrong.
 */
export function readSpotTrace(
  text: string,
  file: string,
  nodeCountMax: number,
): Omit<AvailabilityTrace, "offerIds"> {
  const reading = readDocument(text, layout);
  if (reading.kind === "mistakes") throw mistakesError(file, reading.mistakes);
  const { metadata, data } = reading.value;
  const asked = data.reduce((most, count) => Math.max(most, count), 0);
  if (asked === 0) {
    const problem = `${file} shows no machine at any time: take another zone or leave it out`;
    throw new PlatformError(problem, { code: "invalid_request", retryable: false });
  }
  return {
    stepMs: Math.round(metadata.gap_seconds * MS_PER_SECOND),
    nodeCounts: data.map((count) => Math.round((count / asked) * nodeCountMax)),
  };
}
