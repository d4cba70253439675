/**
 * Which machines to rent now: what the lines of the plan lack, by their own offers or by others
 * that may stand in for them, within the bounds on nodes, launches and money.
 *
 * Pure. O(lines * offers log offers) where lines lack something.
 */
import type { CloudName, MicroUsd, Offer } from "../core/index.ts";
import type { ActionOf, NodeAction } from "./actions.ts";
import type { PoolNode } from "./observe.ts";
import type { DesiredLine } from "./ports.ts";
import { openRefusals, refusalOf } from "./refusals.ts";
import { isUnborn, offerIdOfNode, type View } from "./snapshot.ts";
import { unseenPlaceOf } from "./unseen.ts";
import { rentChoices, staffLines, type RentChoice, type Staffing } from "./stand-ins.ts";

export function rents(
  staffing: Staffing,
  reclaimed: ReadonlySet<string>,
  view: View,
): readonly NodeAction[] {
  const { policy, unreachableClouds } = view.snapshot;
  const isOpen = openness(staffing, view);
  const tries = trials(view);
  const actions: NodeAction[] = [];
  let roomLeft = Math.max(0, policy.nodeCountMax - view.rented.length);
  let extraLeft = spareBudget(view);
  for (const line of view.lines.values()) {
    if (roomLeft <= 0 || actions.length >= policy.actionCountMaxPerTick) break;
    const wanted = view.offersById.get(line.offerId);
    if (wanted === undefined || unreachableClouds.has(wanted.cloud)) continue;
    const held = view.snapshot.consolidation?.heldCountOf.get(line.offerId) ?? 0;
    // What an offer loses now is not to be had back by the same offer in place of what serves.
    const isSteady = isOpen(wanted) && !reclaimed.has(wanted.offerId);
    const { replacing, missing } = lacking(line, staffing, { isSteady, held });
    if (replacing + missing === 0) continue;
    const replacingCount = Math.min(replacing, roomLeft);
    const wantedCount = Math.min(missing, roomLeft - replacingCount);
    const missingCount = wantedCount <= 0 ? 0 : Math.min(wantedCount, tries(wanted.cloud));
    const choices = rentChoices(line, wanted, {
      offers: view.snapshot.offers,
      isOpen,
      isLast: ({ offerId }) => reclaimed.has(offerId),
      priceFactorMax: policy.standInPriceFactorMax,
      extraMicroUsdPerHourMax: extraLeft / Math.max(1, missingCount),
    });
    const own = [rentAction(line, [[wanted]], replacingCount)];
    const all = [rentAction(line, choices, missingCount)];
    const asked = [...own, ...all].filter(
      ({ count, choices: some }) => count > 0 && some.length > 0,
    );
    actions.push(...asked);
    roomLeft -= asked.reduce((sum, { count }) => sum + count, 0);
    extraLeft -= missingCount * extraOf(choices, wanted);
  }
  return actions;
}

/** Offers whose machines are being taken back, or may be: asked for last, when all else is short. */
export function reclaimedOffers(view: View): ReadonlySet<string> {
  const reclaimed = view.rented.filter(
    ({ record: { node } }) => view.reclaimAtMs.has(node.nodeId) || isAtRisk(node.nodeId, view),
  );
  return new Set(reclaimed.map(offerIdOfNode));
}

function isAtRisk(nodeId: string, { snapshot }: View): boolean {
  const isReplaced = snapshot.policy.atRisk === "replace";
  return isReplaced && snapshot.agents.get(nodeId)?.riskSinceMs !== undefined;
}

export function staffingOf(nodes: readonly PoolNode[], { lines, offersById }: View): Staffing {
  return staffLines(
    lines,
    nodes.map(({ record }) => record.node),
    offersById,
  );
}

/**
 * What a line lacks: nodes in whose place others serve already, which only its own offer may
 * replace, and nodes that are missing altogether; without those that are held back because what
 * they would replace is in use.
 */
function lacking(
  { offerId, count }: DesiredLine,
  { ownCountOf, substituteCountOf }: Staffing,
  { isSteady, held }: { readonly isSteady: boolean; readonly held: number },
): { readonly replacing: number; readonly missing: number } {
  const substitutes = substituteCountOf.get(offerId) ?? 0;
  const missing = Math.max(0, count - (ownCountOf.get(offerId) ?? 0) - substitutes);
  return {
    replacing: isSteady ? Math.max(0, substitutes - held) : 0,
    missing: Math.max(0, missing - Math.max(0, held - substitutes)),
  };
}

/** Takes what may be tried on a cloud now: one launch at a time where they mostly fail. */
function trials({ snapshot, rented }: View): (cloud: CloudName) => number {
  const { degradedClouds = new Set() } = snapshot;
  const underWay = new Set(
    rented.flatMap(({ record: { node } }) => (isUnborn(node) ? [node.cloud] : [])),
  );
  return (cloud) => {
    if (!degradedClouds.has(cloud)) return Infinity;
    if (underWay.has(cloud)) return 0;
    underWay.add(cloud);
    return 1;
  };
}

function rentAction(
  { offerId, reason, planId }: DesiredLine,
  choices: readonly RentChoice[],
  count: number,
): ActionOf<"rent"> {
  const ids = choices.map((choice) => choice.map((offer) => offer.offerId));
  const plan = planId === undefined ? {} : { planId };
  return { kind: "rent", offerId, choices: ids, count, reason, ...plan };
}

/** Whether an offer can be rented now, by all that is known. */
function openness(
  { ownCountOf }: Staffing,
  { snapshot, lines, nowMs }: View,
): (offer: Offer) => boolean {
  const { unreachableClouds, unseen = [], refusals } = snapshot;
  const open = openRefusals(refusals, nowMs);
  return (offer) => {
    if (unreachableClouds.has(offer.cloud)) return false;
    if (unseenPlaceOf(unseen, offer) !== undefined) return false;
    if (refusalOf(open, offer, nowMs) !== undefined) return false;
    const planned = lines.get(offer.offerId)?.count ?? 0;
    const taken = Math.max(planned, ownCountOf.get(offer.offerId) ?? 0);
    return planned > 0 || taken < offer.nodeCountMax;
  };
}

/** What the fleet may cost beyond the plan; without a budget there is no end to it. */
function spareBudget(view: View): MicroUsd {
  const { offersById } = view;
  const { budgetMicroUsdPerHourMax = Infinity } = view.snapshot;
  let planned = 0;
  for (const { offerId, count } of view.lines.values()) {
    planned += count * (offersById.get(offerId)?.priceMicroUsdPerHour ?? 0);
  }
  for (const { record } of view.rented) {
    const { offerId = "", priceMicroUsdPerHour } = record.node;
    if (!offersById.has(offerId) || !view.lines.has(offerId)) planned += priceMicroUsdPerHour;
  }
  return Math.max(0, budgetMicroUsdPerHourMax - planned);
}

/** The most that a machine of these choices can cost beyond the wanted one. */
function extraOf(choices: readonly RentChoice[], wanted: Offer): MicroUsd {
  const prices = choices.flat().map((offer) => offer.priceMicroUsdPerHour);
  return Math.max(0, Math.max(0, ...prices) - wanted.priceMicroUsdPerHour);
}
