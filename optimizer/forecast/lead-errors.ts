/**
 * How far demand moves within one lead time: the errors of past forecasts, scaled by how much
 * demand swings at the moment.
 *
 *     demand_q = level × exp(w × season) + z_q × volatility
 *
 * Every so often the present becomes an *origin*. When the lead time has passed its error is
 * known. Divided by the volatility of its time it goes into a decaying histogram; z_q is a
 * quantile of that. So the shape of errors is learnt over days and their size over an hour.
 *
 *     volatility = (now / 2 + lately / 4 + daily / 4) × (level / usual)^-0.3
 *
 * `lately` and `daily` are mean absolute errors, which are known a lead time late. `now` is not:
 * it is how far the level has moved over two thirds of a lead time, in the last ten minutes or
 * so, scaled to a whole lead time by the root of time. Each begins with a little of what is
 * believed before anything is measured. The last factor says that errors grow more slowly than
 * demand: noise of arrivals by its root, swings of demand by somewhat less than itself. `usual`
 * is the level of about a day. The shares, times and exponent were chosen on the first week of
 * one public series (servegen m-mid) in a model of the fleet, and held on its second, on m-large,
 * and at a fifth of the scale: the same misses cost 1 to 2 % less than with three quarters of
 * `lately` and no factor.
 *
 * The same is done for each weight w of `SEASON_WEIGHTS`. Each keeps its measured pinball loss:
 * the season is used with the weight that lost least, and not at all unless that pays.
 *
 * Why so: with errors assumed normal the 90 % quantile is too high and the 99 % too low; with
 * errors not scaled, quiet hours are served like wild ones. Of errors of demand, of its root and
 * of its log, those of demand itself lost least (`benchmarks/forecast.ts` has the series).
 * Source: quantiles of normalised errors, Papadopoulos, Vovk & Gammerman 2011, "Regression
 * conformal prediction with nearest neighbours"; pinball loss, Koenker & Bassett 1978.
 */
import { MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { addToMean, keptAfter, NO_MEAN, type DecayedMean } from "./decayed-mean.ts";
import {
  addError,
  errorQuantile,
  errorQuantiles,
  priorHistogram,
  type Histogram,
} from "./histogram.ts";
import { seasonDrift, type Season } from "./season.ts";

/**
 * What a quantile is of: demand at the end of the lead time, the most of one sample until then, or
 * the most that the level reaches until then. A queue of some seconds evens out what is more than
 * `sustained`.
 */
export type ForecastTarget = "end" | "peak" | "sustained";

/** A moment whose forecast cannot be judged yet. */
interface Origin {
  readonly atMs: number;
  readonly level: number;
  /** What the season said of the lead time. */
  readonly drift: number;
  /** By season weight. */
  readonly volatilities: readonly number[];
  /** The most demand since, of samples or of the level. */
  readonly peak: number;
  /** Share of a lead time that this origin adds to those before it. */
  readonly weight: number;
}

/** Errors of forecasts that use the season with one weight. Weights are in lead times. */
interface Learner {
  /** Absolute errors, lately and over a day. */
  readonly lately: DecayedMean;
  readonly daily: DecayedMean;
  /** Errors in volatilities. */
  readonly histogram: Histogram;
  /** Pinball losses of its quantiles. */
  readonly loss: DecayedMean;
}

/** What is known about one lead time. */
export interface LeadErrors {
  readonly leadMs: number;
  readonly target: ForecastTarget;
  /** Oldest first; about `ORIGINS_PER_LEAD` at most. */
  readonly origins: readonly Origin[];
  readonly maturedAtMs?: number;
  /** How far the level has moved of late, scaled to the lead time. */
  readonly now: DecayedMean;
  /** One for each of `SEASON_WEIGHTS`. */
  readonly learners: readonly Learner[];
}

/** A moment, as the learner takes it. */
export interface Moment {
  readonly atMs: number;
  readonly quantity: number;
  /** The quantity, smoothed. */
  readonly level: number;
  /** The level of about the last day. */
  readonly usualLevel: number;
  readonly season: Season;
}

/** 0 must come first: it is what the others have to beat. */
const SEASON_WEIGHTS = [0, 0.5, 1] as const;
/** A season must lower the loss by this much to be used. */
const LOSS_GAIN_MIN = 0.02;
const LOSS_QUANTILES = [0.5, 0.9, 0.99] as const;
const LOSS_HALF_LIFE_MS = 72 * MS_PER_HOUR;

const ORIGINS_PER_LEAD = 32;
const HISTOGRAM_HALF_LIFE_MS = 24 * MS_PER_HOUR;
/** Of the volatility of lately; longer for long lead times, whose errors come late. */
const LATELY_HALF_LIFE_MS_MIN = 20 * MS_PER_MINUTE;
const LATELY_HALF_LIFE_LEADS = 1.5;
const DAILY_HALF_LIFE_MS = 24 * MS_PER_HOUR;
/** Of the volatility of now; longer for lead times that are longer. */
const NOW_HALF_LIFE_MS_MIN = 10 * MS_PER_MINUTE;
/** Part of a lead time over which the level's moves are taken. */
const NOW_LAG_LEADS = 2 / 3;
/** How much each counts in the volatility. */
const SHARES = { now: 0.5, lately: 0.25, daily: 0.25 } as const;
/** How errors relative to the level fall as it rises. */
const LEVEL_EXPONENT = -0.3;

/** Lead times that the prior counts for; fewer in the volatility of the last hour. */
const PRIOR_LEADS = 8;
const PRIOR_LEADS_LATELY = 0.5;
/**
 * Volatility believed at first, as a fraction of the level: that of the M-mid traffic of
 * ServeGen (arXiv 2505.09999) at 10 minutes, and how it grows with the lead time.
 */
const PRIOR_VOLATILITY_FRACTION = 0.1;
const PRIOR_VOLATILITY_LEAD_MS = 10 * MS_PER_MINUTE;
const PRIOR_VOLATILITY_EXPONENT = 0.36;

/** Nothing measured: errors spread like a Laplace distribution of the prior volatility. */
export function newLeadErrors(leadMs: number, target: ForecastTarget): LeadErrors {
  const histogram = priorHistogram(target === "end" ? laplace : exponential, PRIOR_LEADS);
  const learner = { lately: NO_MEAN, daily: NO_MEAN, histogram, loss: NO_MEAN };
  return { leadMs, target, origins: [], now: NO_MEAN, learners: SEASON_WEIGHTS.map(() => learner) };
}

/** The errors after one more moment; moments come in order of time. O(1). */
export function observeErrors(errors: LeadErrors, moment: Moment): LeadErrors {
  const { atMs } = moment;
  const reached = reachedIn(errors, moment);
  const seen = errors.origins.map((origin) =>
    reached > origin.peak ? { ...origin, peak: reached } : origin,
  );
  const youngest = atMs - errors.leadMs;
  const mature = seen.filter((origin) => origin.atMs <= youngest);
  const moved = { ...errors, now: movesAfter(errors, moment) };
  const learnt = mature.reduce((next, origin) => learnOrigin(next, origin, moment), moved);
  const origins = seen.slice(mature.length);
  const last = errors.origins.at(-1);
  const sinceMs = last === undefined ? errors.leadMs : atMs - last.atMs;
  if (sinceMs < errors.leadMs / ORIGINS_PER_LEAD) return { ...learnt, origins };
  const weight = Math.min(1, sinceMs / errors.leadMs);
  return { ...learnt, origins: [...origins, originAt(learnt, moment, weight)] };
}

/** The moves of the level after one more moment, as often as there are origins. */
function movesAfter({ origins, now, leadMs }: LeadErrors, { atMs, level }: Moment): DecayedMean {
  const last = origins.at(-1);
  const from = origins.find((origin) => atMs - origin.atMs <= NOW_LAG_LEADS * leadMs);
  if (last === undefined || from === undefined) return now;
  const elapsedMs = atMs - last.atMs;
  if (elapsedMs < leadMs / ORIGINS_PER_LEAD) return now;
  const lagMs = atMs - from.atMs;
  return addToMean(now, {
    value: Math.abs(level - from.level) * Math.sqrt(leadMs / lagMs),
    weight: Math.min(1, elapsedMs / leadMs),
    keptFraction: keptAfter(elapsedMs, Math.max(NOW_HALF_LIFE_MS_MIN, leadMs)),
  });
}

/** What counts for the most of a lead time. */
function reachedIn({ target }: LeadErrors, { quantity, level }: Moment): number {
  return target === "sustained" ? level : quantity;
}

/** The errors after a hole in the samples: forecasts that it touches are never judged. */
export function interruptErrors(errors: LeadErrors): LeadErrors {
  return { ...errors, origins: [] };
}

/** The errors of a series that swings alike at `scale` times the level. */
export function scaleErrors(errors: LeadErrors, scale: number): LeadErrors {
  const scaled = ({ sum, weight }: DecayedMean): DecayedMean => ({ sum: sum * scale, weight });
  const learners = errors.learners.map((learner) => ({
    ...learner,
    lately: scaled(learner.lately),
    daily: scaled(learner.daily),
    loss: scaled(learner.loss),
  }));
  return { ...errors, now: scaled(errors.now), learners };
}

/**
 * Demand that the share `quantile` of outcomes does not exceed. Rises with `quantile`; may be
 * below 0.
 *
 * @param query.gain Multiplies the error's part; 1 is what was measured.
 */
export function quantityQuantile(
  errors: LeadErrors,
  moment: Omit<Moment, "quantity">,
  query: { readonly quantile: number; readonly gain: number },
): number {
  const chosen = chosenLearner(errors);
  const learner = errors.learners[chosen];
  if (learner === undefined) return moment.level;
  const error = errorQuantile(learner.histogram, query.quantile);
  const volatility = volatilityOf(learner, errors, moment);
  const drift = driftOver(errors, moment);
  return expected(moment.level, drift, chosen) + query.gain * error * volatility;
}

/** Mean absolute move of demand within the lead time, as it is believed now. > 0. */
export function volatilityNow(
  errors: LeadErrors,
  moment: Pick<Moment, "level" | "usualLevel">,
): number {
  const learner = errors.learners[chosenLearner(errors)];
  return learner === undefined ? 0 : volatilityOf(learner, errors, moment);
}

/** How much of the season is used, 0..1: 0 unless the measured loss says that it pays. */
export function seasonWeight(errors: LeadErrors): number {
  return SEASON_WEIGHTS[chosenLearner(errors)] ?? 0;
}

function chosenLearner(errors: LeadErrors): number {
  const losses = errors.learners.map(({ loss }) =>
    loss.weight > 0 ? loss.sum / loss.weight : Infinity,
  );
  const best = losses.indexOf(Math.min(...losses));
  const pays = (losses[best] ?? 0) < (1 - LOSS_GAIN_MIN) * (losses[0] ?? 0);
  return pays ? best : 0;
}

/** Demand that the season expects at the end of the lead time, by index of its weight. */
function expected(level: number, drift: number, weightIndex: number): number {
  return level * Math.exp((SEASON_WEIGHTS[weightIndex] ?? 0) * drift);
}

/** What the season says of the lead time from now on; a peak is not lower than the present. */
function driftOver(errors: LeadErrors, { atMs, season }: Omit<Moment, "quantity">): number {
  const drift = seasonDrift(season, atMs, atMs + errors.leadMs);
  return errors.target === "end" ? drift : Math.max(0, drift);
}

function volatilityOf(
  learner: Learner,
  { leadMs, now }: LeadErrors,
  { level, usualLevel }: Pick<Moment, "level" | "usualLevel">,
): number {
  const growth = (leadMs / PRIOR_VOLATILITY_LEAD_MS) ** PRIOR_VOLATILITY_EXPONENT;
  const prior = PRIOR_VOLATILITY_FRACTION * growth * (level + 1);
  const meanOf = ({ sum, weight }: DecayedMean, priorLeads: number): number =>
    (sum + priorLeads * prior) / (weight + priorLeads);
  const mean =
    SHARES.now * meanOf(now, PRIOR_LEADS_LATELY) +
    SHARES.lately * meanOf(learner.lately, PRIOR_LEADS_LATELY) +
    SHARES.daily * meanOf(learner.daily, PRIOR_LEADS);
  return mean * ((level + 1) / (usualLevel + 1)) ** LEVEL_EXPONENT;
}

function originAt(errors: LeadErrors, moment: Moment, weight: number): Origin {
  const { atMs, level } = moment;
  return {
    atMs,
    level,
    drift: driftOver(errors, moment),
    volatilities: errors.learners.map((learner) => volatilityOf(learner, errors, moment)),
    peak: reachedIn(errors, moment),
    weight,
  };
}

function learnOrigin(errors: LeadErrors, origin: Origin, { atMs, quantity }: Moment): LeadErrors {
  const elapsedMs = atMs - (errors.maturedAtMs ?? origin.atMs);
  const outcome = errors.target === "end" ? quantity : origin.peak;
  const learners = errors.learners.map((learner, index) => {
    const center = expected(origin.level, origin.drift, index);
    return learnError(learner, {
      error: outcome - center,
      swing: Math.abs(quantity - center),
      volatility: origin.volatilities[index] ?? 1,
      weight: origin.weight,
      elapsedMs,
      leadMs: errors.leadMs,
    });
  });
  return { ...errors, learners, maturedAtMs: atMs };
}

interface MeasuredError {
  readonly error: number;
  /** The absolute error at the end of the lead time. */
  readonly swing: number;
  /** As it was at the origin. */
  readonly volatility: number;
  readonly weight: number;
  readonly elapsedMs: number;
  readonly leadMs: number;
}

/** Counts the loss of what the learner would have said, then learns the error. */
function learnError(learner: Learner, measured: MeasuredError): Learner {
  const { swing, volatility, weight, elapsedMs, leadMs } = measured;
  const error = measured.error / volatility;
  const said = errorQuantiles(learner.histogram, LOSS_QUANTILES);
  const loss = LOSS_QUANTILES.reduce((sum, quantile, index) => {
    const missed = error - (said[index] ?? 0);
    return sum + Math.max(quantile * missed, (quantile - 1) * missed);
  }, 0);
  const kept = (halfLifeMs: number): number => keptAfter(elapsedMs, halfLifeMs);
  const add = (mean: DecayedMean, value: number, halfLifeMs: number): DecayedMean =>
    addToMean(mean, { value, weight, keptFraction: kept(halfLifeMs) });
  const keptFraction = kept(HISTOGRAM_HALF_LIFE_MS);
  return {
    lately: add(learner.lately, swing, latelyHalfLifeMs(leadMs)),
    daily: add(learner.daily, swing, DAILY_HALF_LIFE_MS),
    histogram: addError(learner.histogram, { error, weight, keptFraction }),
    loss: add(learner.loss, loss * volatility, LOSS_HALF_LIFE_MS),
  };
}

function latelyHalfLifeMs(leadMs: number): number {
  return Math.max(LATELY_HALF_LIFE_MS_MIN, LATELY_HALF_LIFE_LEADS * leadMs);
}

/** Of errors to either side, mean absolute error 1. */
function laplace(error: number): number {
  return error < 0 ? Math.exp(error) / 2 : 1 - Math.exp(-error) / 2;
}

/** Of errors upwards only, mean 1: of the most in a lead time. */
function exponential(error: number): number {
  return error < 0 ? 0 : 1 - Math.exp(-error);
}
