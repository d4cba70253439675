/**
 * Forecast of one demand series: honest quantiles of demand at any lead time, learnt online.
 *
 * The level is a mean of the samples, over the longer the noisier they are (`level.ts`). What is
 * added to it for a quantile is learnt
 * for each of a few lead times (`lead-errors.ts`); between two of them it is linear in the log
 * of the lead time.
 *
 * Holes. A fall to almost nothing is believed at once, but what is learnt from then on is
 * forgotten if demand returns as suddenly as it went: a hole in the data, not in demand. Holes
 * that come often are demand. After a silence, forecasts that span it are not judged.
 *
 * Little history. Without a sample the answer is 0. With few, errors are taken to be those of
 * public traffic, in proportion to the level; eight lead times of samples count as much as that.
 *
 * Units. The unit of the samples should be the smallest amount that matters (a GPU, a
 * container). Spacing is free, but lead times shorter than it are learnt as if as long.
 *
 * State is plain data of bounded size (about 30 kB as JSON): it survives a restart. Equal
 * samples give equal states.
 * Source: volatility-scaled empirical quantiles had the least pinball loss among eight methods
 * on public ServeGen traffic (arXiv 2505.09999); `npm run bench -- forecast` measures it.
 */
import { assert, MS_PER_HOUR, MS_PER_MINUTE } from "../../core/index.ts";
import { keptAfter } from "./decayed-mean.ts";
import {
  interruptErrors,
  newLeadErrors,
  observeErrors,
  quantityQuantile,
  scaleErrors,
  seasonWeight,
  volatilityNow,
  type ForecastTarget,
  type LeadErrors,
} from "./lead-errors.ts";
import { firstLevel, nextLevel, usualLevel, type Level } from "./level.ts";
import { emptySeason, interruptSeason, observeSeason, type Season } from "./season.ts";

/** One measurement of a demand series. */
export interface DemandSample {
  readonly atMs: number;
  /** Amount wanted at that moment, finite and >= 0; GPUs or containers, always the same. */
  readonly quantity: number;
}

/** What is learnt from samples. */
interface Knowledge {
  /** One per lead time, shortest first. */
  readonly leads: readonly LeadErrors[];
  readonly season: Season;
}

/** Everything a forecast knows. */
export interface Forecast extends Knowledge {
  readonly samples?: {
    readonly lastAtMs: number;
    readonly level: Level;
    /** EWMA of the time between samples; 0 while there is one only. */
    readonly spacingMs: number;
  };
  /** A fall to almost nothing that may prove to be a hole. */
  readonly fall?: {
    readonly sinceMs: number;
    readonly levelBefore: number;
    readonly knowledgeBefore: Knowledge;
  };
  /** Holes that were forgotten lately, decayed. */
  readonly holes: { readonly count: number; readonly atMs: number };
}

export interface ForecastOptions {
  /** What quantiles are of; default `peak`: a machine that comes too late is too late. */
  readonly target?: ForecastTarget;
  /** Lead times that are learnt, at least one; default 1, 3, 10 and 30 minutes. */
  readonly leadsMs?: readonly number[];
}

/** What is asked of a forecast. */
export interface DemandQuery {
  /** > 0. Beyond the lead times that are learnt the nearest one answers. */
  readonly leadMs: number;
  /** 0..1. */
  readonly quantile: number;
  /** Multiplies the margin over the level; default 1, what was measured (`feedback.ts`). */
  readonly gain?: number;
}

const DEFAULT_LEADS_MS: readonly number[] = [1, 3, 10, 30].map(
  (minutes) => minutes * MS_PER_MINUTE,
);

/** The level is smoothed by how demand moves within the first lead time that is as long. */
const LEVEL_LEAD_MS_MIN = 2 * MS_PER_MINUTE;
/** Share of the newest in the mean spacing of samples. */
const SPACING_SHARE = 0.1;
/** A silence this many times longer than usual is a hole. */
const SILENCE_FACTOR = 6;

/** A fall to below this share of the level may be a hole. */
const FALL_FRACTION = 0.05;
/** A return to this share of the level before, at least, proves it one. */
const RETURN_FRACTION = 0.5;
/** Levels below this may well fall to nothing. */
const FALL_LEVEL_MIN = 20;
/** The longest hole in 14 days of ServeGen's M-mid traffic took 4 hours. */
const HOLE_MS_MAX = 6 * MS_PER_HOUR;
/** More holes than this in about a day are demand that comes and goes. */
const HOLE_COUNT_MAX = 4;
const HOLE_HALF_LIFE_MS = 24 * MS_PER_HOUR;

/** A forecast without history. */
export function newForecast(options: ForecastOptions = {}): Forecast {
  const { target = "peak", leadsMs = DEFAULT_LEADS_MS } = options;
  assert(leadsMs.length > 0, "a forecast needs at least one lead time");
  const sorted = [...leadsMs].sort((a, b) => a - b);
  return {
    leads: sorted.map((leadMs) => newLeadErrors(leadMs, target)),
    season: emptySeason(),
    holes: { count: 0, atMs: 0 },
  };
}

/**
 * The forecast after one more sample; one that is not later than the last changes nothing.
 * O(1): some thousand steps for each lead time.
 */
export function observe(forecast: Forecast, sample: DemandSample): Forecast {
  const { atMs, quantity } = sample;
  assert(
    Number.isFinite(quantity) && quantity >= 0 && Number.isFinite(atMs),
    `a demand sample of ${quantity} at ${atMs} is no finite amount >= 0`,
  );
  const { samples } = forecast;
  if (samples === undefined) {
    return learn(forecast, { lastAtMs: atMs, level: firstLevel(quantity), spacingMs: 0 }, quantity);
  }
  const { lastAtMs, level, spacingMs } = samples;
  const elapsedMs = atMs - lastAtMs;
  if (elapsedMs <= 0) return forecast;
  const silent = spacingMs > 0 && elapsedMs > SILENCE_FACTOR * spacingMs;
  const settled = settleFall(silent ? interrupted(forecast) : forecast, sample, level.value);
  const spacing = spacingMs === 0 ? elapsedMs : spacingMs + SPACING_SHARE * (elapsedMs - spacingMs);
  const next = nextLevel(level, { quantity, elapsedMs, spacingMs: spacing, ...movesOf(forecast) });
  return learn(settled, { lastAtMs: atMs, level: next, spacingMs: spacing }, quantity);
}

/**
 * Demand that the share `quantile` of outcomes does not exceed at any time from the last sample
 * until `leadMs` later (or at that later time: the forecast's target). >= 0, rises with
 * `quantile`.
 */
export function demandQuantile(forecast: Forecast, query: DemandQuery): number {
  const { samples, leads, season } = forecast;
  if (samples === undefined) return 0;
  const { quantile, gain = 1 } = query;
  const moment = { atMs: samples.lastAtMs, ...levelsOf(samples.level), season };
  const above = leads.find(({ leadMs }) => leadMs >= query.leadMs) ?? leads.at(-1);
  const below = leads.findLast(({ leadMs }) => leadMs <= query.leadMs) ?? leads[0];
  if (above === undefined || below === undefined) return moment.level;
  const high = quantityQuantile(above, moment, { quantile, gain });
  if (above.leadMs <= below.leadMs) return Math.max(0, high);
  const low = quantityQuantile(below, moment, { quantile, gain });
  const share = Math.log(query.leadMs / below.leadMs) / Math.log(above.leadMs / below.leadMs);
  return Math.max(0, low * (1 - share) + high * share);
}

/** How much of the season each lead time uses, 0..1, shortest lead time first. */
export function seasonWeights(forecast: Forecast): readonly number[] {
  return forecast.leads.map(seasonWeight);
}

/**
 * A forecast for another series that should behave alike: what was learnt, without the samples
 * and whatever is under way.
 *
 * @param scale The other series' level over this one's, > 0.
 */
export function inheritForecast(forecast: Forecast, scale: number): Forecast {
  const { leads, season } = interrupted({ leads: forecast.leads, season: forecast.season });
  const scaled = leads.map((errors) => scaleErrors(errors, scale));
  return { leads: scaled, season, holes: { count: 0, atMs: 0 } };
}

function learn(
  forecast: Forecast,
  samples: NonNullable<Forecast["samples"]>,
  quantity: number,
): Forecast {
  const { lastAtMs: atMs } = samples;
  const levels = levelsOf(samples.level);
  const season = observeSeason(forecast.season, atMs, Math.log(levels.level + 1));
  const leads = forecast.leads.map((errors) =>
    observeErrors(errors, { atMs, quantity, ...levels, season }),
  );
  return { ...forecast, samples, season, leads };
}

function levelsOf(level: Level): { readonly level: number; readonly usualLevel: number } {
  return { level: level.value, usualLevel: usualLevel(level) };
}

/** How demand is believed to move, for its level. */
function movesOf({ samples, leads }: Forecast): {
  readonly volatility: number;
  readonly leadMs: number;
} {
  const errors = leads.find(({ leadMs }) => leadMs >= LEVEL_LEAD_MS_MIN) ?? leads.at(-1);
  if (samples === undefined || errors === undefined) return { volatility: 0, leadMs: 1 };
  const volatility = volatilityNow(errors, levelsOf(samples.level));
  return { volatility, leadMs: errors.leadMs };
}

function interrupted<K extends Knowledge>(knowledge: K): K {
  return {
    ...knowledge,
    leads: knowledge.leads.map(interruptErrors),
    season: interruptSeason(knowledge.season),
  };
}

/** Notes a fall to almost nothing; at its end forgets what was learnt since, if it was a hole. */
function settleFall(forecast: Forecast, sample: DemandSample, level: number): Forecast {
  const { fall, ...rest } = forecast;
  const { atMs, quantity } = sample;
  if (fall === undefined) {
    const mayBeHole = level >= FALL_LEVEL_MIN && quantity < FALL_FRACTION * level;
    if (!mayBeHole || holesAt(forecast, atMs) >= HOLE_COUNT_MAX) return forecast;
    const { leads, season } = forecast;
    const knowledgeBefore = { leads, season };
    return { ...forecast, fall: { sinceMs: atMs, levelBefore: level, knowledgeBefore } };
  }
  if (atMs - fall.sinceMs > HOLE_MS_MAX) return rest;
  if (quantity < FALL_FRACTION * fall.levelBefore) return forecast;
  if (quantity < RETURN_FRACTION * fall.levelBefore) return rest;
  const holes = { count: holesAt(forecast, atMs) + 1, atMs };
  return { ...rest, ...interrupted(fall.knowledgeBefore), holes };
}

function holesAt({ holes }: Forecast, atMs: number): number {
  return holes.count * keptAfter(atMs - holes.atMs, HOLE_HALF_LIFE_MS);
}
