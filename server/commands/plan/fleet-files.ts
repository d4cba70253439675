/** What is rented now and what quotas allow: two small files beside offers and demand. */
import { z } from "zod";
import type { Offer } from "../../../core/index.ts";
import type { PlanInput } from "../../../optimizer/index.ts";
import { mistakesError, readDocument, printableName } from "../../../documents/index.ts";
import { nearest } from "./nearest.ts";

const presentNodes = z.strictObject({ offerId: printableName, count: z.int().min(0).max(1e9) });

/**
 * The present nodes of a text: a list of `{ offerId, count }`.
 *
 * @throws PlatformError `invalid_request` for wrong entries and for offers that are not listed:
 *   a machine whose price nobody knows cannot be weighed.
 */
export function readFleet(
  text: string,
  name: string,
  offers: readonly Offer[],
): PlanInput["fleet"] {
  const ids = offers.map((offer) => offer.offerId);
  const known = new Set(ids);
  const schema = z.array(presentNodes).superRefine((entries, context) => {
    const firstOf = new Map<string, number>();
    for (const [index, { offerId }] of entries.entries()) {
      const first = firstOf.get(offerId);
      firstOf.set(offerId, first ?? index);
      if (first === undefined && known.has(offerId)) continue;
      const unlisted =
        `no listed offer is ${offerId}${nearest(offerId, ids)}; ` +
        "one that can no longer be rented is listed with a node_count_max of 0";
      const message = first === undefined ? unlisted : `[${first}] is the same offer`;
      context.addIssue({ code: "custom", path: [index, "offerId"], message });
    }
  });
  const reading = readDocument(text, schema);
  if (reading.kind === "mistakes") throw mistakesError(name, reading.mistakes);
  return reading.value;
}

/**
 * Most nodes by quota group, of a text that maps groups to numbers.
 *
 * @throws PlatformError `invalid_request` for wrong entries, and for groups that no offer counts
 *   against: such a limit would limit nothing.
 */
export function readQuotas(
  text: string,
  name: string,
  offers: readonly Offer[],
): Readonly<Record<string, number>> {
  const groups = quotaGroupsOf(offers);
  const schema = z.record(printableName, z.int().min(0)).superRefine((limits, context) => {
    for (const group of Object.keys(limits)) {
      if (groups.includes(group)) continue;
      const message = `no offer counts against this group${nearest(group, groups)}`;
      context.addIssue({ code: "custom", path: [group], message });
    }
  });
  const reading = readDocument(text, schema);
  if (reading.kind === "mistakes") throw mistakesError(name, reading.mistakes);
  return reading.value;
}

/** All quota groups that some offer counts against, sorted. */
export function quotaGroupsOf(offers: readonly Offer[]): readonly string[] {
  return [...new Set(offers.flatMap((offer) => offer.quotaGroups))].sort();
}
