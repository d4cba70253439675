/**
 * Offers as they have shown to be: the catalog's figures, moved towards what was seen by as much
 * as was seen.
 *
 * Each figure is the posterior mean of a conjugate model whose prior is the catalog's figure, with
 * a stated weight. With no evidence the offer stays exactly as it was; with much it tends to what
 * was seen; in between it lies between the two.
 *
 * - Launches fail like a coin of unknown bias with a Beta prior worth `PRIOR_LAUNCHES` launches:
 *   `p = (PRIOR_LAUNCHES * p0 + refused + failed) / (PRIOR_LAUNCHES + asked)`.
 * - Boot times are log-normal. The prior is worth `PRIOR_BOOTS` boots, and the median stands for
 *   what was seen, so that one machine that hung does not move it:
 *   `ln(boot) = (PRIOR_BOOTS * ln(boot0) + n * ln(median)) / (PRIOR_BOOTS + n)`.
 * - Reclaims come at a constant hazard h per hour, a Poisson process with a Gamma prior worth
 *   `PRIOR_RECLAIMS` reclaims, thus `PRIOR_RECLAIMS / h0` hours, at most `PRIOR_HOURS_MAX`:
 *   `h = (w * h0 + reclaims) / (w + hours)` and the fraction in an hour is `1 - e^-h`.
 *
 * Source: Gelman et al., Bayesian Data Analysis, 3rd edition, sections 2.4 to 2.6. The weights are
 * judgements: ten launches, three boots and one reclaim are as much evidence as a price list is.
 */
import { type Offer } from "../../../core/index.ts";
import { bootQuantileMs, bootWeight, decayed, type OfferRecord } from "./offer-record.ts";

export const PRIOR_LAUNCHES = 10;
export const PRIOR_BOOTS = 3;
export const PRIOR_RECLAIMS = 1;
/** A year: for offers that are said never to be reclaimed. */
export const PRIOR_HOURS_MAX = 8_760;

/** An offer that always fails still has a price: its launches must stay countable. */
const FAILURE_FRACTION_MAX = 0.95;
/** Less than this was seen of something: it is not seen. */
const WEIGHT_MIN = 1e-3;

/** The offer by what was seen of it up to `nowMs`; itself when nothing was. */
export function observedOffer(offer: Offer, record: OfferRecord | undefined, nowMs: number): Offer {
  if (record === undefined) return offer;
  const now = decayed(record, nowMs);
  return {
    ...offer,
    ...(now.askedCount < WEIGHT_MIN
      ? {}
      : { launchFailureFraction: launchFailureFraction(offer.launchFailureFraction ?? 0, now) }),
    bootMs: bootMs(offer.bootMs, now),
    ...(offer.purchase === "spot"
      ? { reclaimFractionPerHour: reclaimFractionPerHour(offer.reclaimFractionPerHour, now) }
      : {}),
  };
}

/** Share of launches that fail, 0..`FAILURE_FRACTION_MAX`. @param prior the catalog's share */
export function launchFailureFraction(prior: number, record: OfferRecord): number {
  const { askedCount, refusedCount, failedCount } = record;
  // A failure can be seen long after its launch, whose weight has decayed by then.
  const failures = Math.min(askedCount, refusedCount + failedCount);
  const fraction = (PRIOR_LAUNCHES * prior + failures) / (PRIOR_LAUNCHES + askedCount);
  return Math.min(fraction, FAILURE_FRACTION_MAX);
}

/** From an accepted rent to a registered agent, whole milliseconds. @param priorMs above 0 */
export function bootMs(priorMs: number, record: OfferRecord): number {
  const medianMs = bootQuantileMs(record, 0.5);
  const count = bootWeight(record);
  if (medianMs === undefined || count < WEIGHT_MIN) return priorMs;
  if (priorMs <= 0) return medianMs;
  const logMs =
    (PRIOR_BOOTS * Math.log(priorMs) + count * Math.log(medianMs)) / (PRIOR_BOOTS + count);
  return Math.round(Math.exp(logMs));
}

/** Reclaims per node-hour, 0..1 and below 1. @param prior the catalog's fraction */
export function reclaimFractionPerHour(prior: number, record: OfferRecord): number {
  const { nodeHours, reclaimCount } = record;
  if (nodeHours < WEIGHT_MIN && reclaimCount < WEIGHT_MIN) return prior;
  const priorHazard = -Math.log1p(-prior);
  const priorHours = Math.min(PRIOR_RECLAIMS / priorHazard, PRIOR_HOURS_MAX);
  const hazard = (priorHours * priorHazard + reclaimCount) / (priorHours + nodeHours);
  return -Math.expm1(-hazard);
}
