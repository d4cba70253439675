/**
 * What was seen of an offer: how its launches went, how long its machines took to boot, how often
 * they were taken back.
 *
 * Every figure decays exponentially, so that the latest counts most and old weather is forgotten:
 *
 *     weight(t) = 2^(-age / halfLife)
 *
 * Launches have a half-life of six hours, since shortages come and go within a day; boots of two
 * weeks and reclaims of one, since machines of one type boot alike for months, and reclaims need
 * many hours to be seen at all. Boot times are kept as a histogram in which each bucket is wider
 * by a tenth than the one before, so a quantile is off by 5 % at most.
 *
 * Pure. Adding is commutative for equal instants, and decay composes: after a and then b is after
 * a + b (the tests hold both up to rounding).
 *
 * Source of the histogram: DDSketch (Masson, Rim, Lee, VLDB 2019), with whole buckets.
 */
import { MS_PER_HOUR, MS_PER_SECOND, type Offer } from "../../../core/index.ts";

/** The seen life of one offer; all weights are >= 0, as of `atMs`. */
export interface OfferRecord {
  /** `recordKeyOf` its offer. */
  readonly key: string;
  readonly atMs: number;
  /** Launches that were asked for and answered. */
  readonly askedCount: number;
  /** Of them, those that the provider refused. */
  readonly refusedCount: number;
  /** Of them, those that gave a machine which never registered. */
  readonly failedCount: number;
  /** Boots by bucket, `[bucket, weight]` in ascending order of buckets. */
  readonly boots: readonly (readonly [bucket: number, weight: number])[];
  /** Hours that registered machines ran. */
  readonly nodeHours: number;
  readonly reclaimCount: number;
}

/** Something that was seen. */
export type Evidence =
  | { readonly kind: "rented" }
  | { readonly kind: "refused" }
  /** A rented machine ended without having registered. */
  | { readonly kind: "failed" }
  | { readonly kind: "booted"; readonly bootMs: number }
  | { readonly kind: "ran"; readonly hours: number }
  | { readonly kind: "reclaimed" };

/** Half-lives of the three kinds of figures. */
export const HALF_LIFE_MS = {
  launches: 6 * MS_PER_HOUR,
  boots: 14 * 24 * MS_PER_HOUR,
  reclaims: 7 * 24 * MS_PER_HOUR,
} as const;

/** Buckets grow by this factor. */
const BUCKET_GROWTH = 1.1;
/** Shorter boots are in the first bucket, longer ones in the last. */
const BOOT_MS_MIN = MS_PER_SECOND / 10;
const BOOT_MS_MAX = 2 * MS_PER_HOUR;
/** Buckets of less weight are forgotten. */
const WEIGHT_MIN = 1e-3;

/** Which record an offer has: pretended machines teach nothing about real ones. */
export function recordKeyOf({ offerId, emulated }: Pick<Offer, "offerId" | "emulated">): string {
  return emulated ? `emulated/${offerId}` : offerId;
}

/** A record of nothing seen. */
export function emptyRecord(key: string, atMs: number): OfferRecord {
  const launches = { askedCount: 0, refusedCount: 0, failedCount: 0 };
  return { key, atMs, ...launches, boots: [], nodeHours: 0, reclaimCount: 0 };
}

/** The record at a later instant; a clock that went back takes nothing away. */
export function decayed(record: OfferRecord, nowMs: number): OfferRecord {
  const ageMs = nowMs - record.atMs;
  if (ageMs <= 0) return record;
  const launches = 2 ** (-ageMs / HALF_LIFE_MS.launches);
  const boots = 2 ** (-ageMs / HALF_LIFE_MS.boots);
  const reclaims = 2 ** (-ageMs / HALF_LIFE_MS.reclaims);
  return {
    key: record.key,
    atMs: nowMs,
    askedCount: record.askedCount * launches,
    refusedCount: record.refusedCount * launches,
    failedCount: record.failedCount * launches,
    boots: record.boots
      .map(([bucket, weight]) => [bucket, weight * boots] as const)
      .filter(([, weight]) => weight >= WEIGHT_MIN),
    nodeHours: record.nodeHours * reclaims,
    reclaimCount: record.reclaimCount * reclaims,
  };
}

/** The record with one more piece of evidence at `nowMs`. O(buckets). */
export function withEvidence(record: OfferRecord, evidence: Evidence, nowMs: number): OfferRecord {
  const now = decayed(record, nowMs);
  switch (evidence.kind) {
    case "rented":
      return { ...now, askedCount: now.askedCount + 1 };
    case "refused":
      return { ...now, askedCount: now.askedCount + 1, refusedCount: now.refusedCount + 1 };
    case "failed":
      return { ...now, failedCount: now.failedCount + 1 };
    case "booted":
      return { ...now, boots: withBoot(now.boots, bucketOf(evidence.bootMs)) };
    case "ran":
      return { ...now, nodeHours: now.nodeHours + Math.max(0, evidence.hours) };
    case "reclaimed":
      return { ...now, reclaimCount: now.reclaimCount + 1 };
  }
}

/** How many boots were seen, by weight. */
export function bootWeight({ boots }: OfferRecord): number {
  return boots.reduce((sum, [, weight]) => sum + weight, 0);
}

/**
 * A quantile of the boot times, in whole milliseconds; undefined when no boot was seen.
 *
 * @param fraction 0..1
 */
export function bootQuantileMs(record: OfferRecord, fraction: number): number | undefined {
  const wanted = bootWeight(record) * fraction;
  let weightBelow = 0;
  for (const [bucket, weight] of record.boots) {
    weightBelow += weight;
    if (weightBelow >= wanted) return middleMs(bucket);
  }
  const [last] = record.boots.at(-1) ?? [];
  return last === undefined ? undefined : middleMs(last);
}

/** `BOOT_MS_MIN * growth^bucket` begins a bucket. */
function bucketOf(bootMs: number): number {
  const bounded = Math.min(Math.max(bootMs, BOOT_MS_MIN), BOOT_MS_MAX);
  return Math.floor(Math.log(bounded / BOOT_MS_MIN) / Math.log(BUCKET_GROWTH));
}

/** The geometric middle of a bucket. */
function middleMs(bucket: number): number {
  return Math.round(BOOT_MS_MIN * BUCKET_GROWTH ** (bucket + 0.5));
}

function withBoot(boots: OfferRecord["boots"], bucket: number): OfferRecord["boots"] {
  const weight = (boots.find(([one]) => one === bucket)?.[1] ?? 0) + 1;
  const others = boots.filter(([one]) => one !== bucket);
  return [...others, [bucket, weight] as const].sort(([one], [other]) => one - other);
}
