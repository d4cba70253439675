/** Long series made short enough to be drawn: as many points as there are pixels. */

/** How buckets are taken together: all groups but the last hold `size` of them. */
export interface Grouping {
  readonly size: number;
  readonly groupCount: number;
}

/** One offer's cost over time, or several taken together. */
export interface NamedSeries {
  readonly name: string;
  readonly values: readonly number[];
}

/** The least equal groups by which `length` values become at most `pointCountMax` (>= 1). */
export function groupingOf(length: number, pointCountMax: number): Grouping {
  const size = Math.max(1, Math.ceil(length / pointCountMax));
  return { size, groupCount: Math.ceil(length / size) };
}

/** Sums by group: the total stays what it was. */
export function groupSums(values: readonly number[], { size, groupCount }: Grouping): number[] {
  return Array.from({ length: groupCount }, (_, group) =>
    values.slice(group * size, (group + 1) * size).reduce((sum, value) => sum + value, 0),
  );
}

/** Means by group; the last group may be of fewer values. */
export function groupMeans(values: readonly number[], grouping: Grouping): number[] {
  return groupSums(values, grouping).map(
    (sum, group) => sum / Math.min(grouping.size, values.length - group * grouping.size),
  );
}

/** Greatest by group, for waits: a bad moment must not be averaged away. */
export function groupMaxima(values: readonly number[], { size, groupCount }: Grouping): number[] {
  return Array.from({ length: groupCount }, (_, group) =>
    Math.max(...values.slice(group * size, (group + 1) * size)),
  );
}

/**
 * The series with the greatest totals, in that order, and the rest as one last series of the
 * given name. Sums over all series are kept, bucket by bucket.
 */
export function largestSeries(
  series: readonly NamedSeries[],
  {
    countMax,
    restName,
  }: { readonly countMax: number; readonly restName: (count: number) => string },
): readonly NamedSeries[] {
  const ranked = series
    .map((one) => ({ one, total: one.values.reduce((sum, value) => sum + value, 0) }))
    .toSorted((left, right) => right.total - left.total)
    .map(({ one }) => one);
  if (ranked.length <= countMax) return ranked;
  const rest = ranked.slice(countMax);
  const length = Math.max(...rest.map(({ values }) => values.length));
  const values = Array.from({ length }, (_, bucket) =>
    rest.reduce((sum, one) => sum + (one.values[bucket] ?? 0), 0),
  );
  return [...ranked.slice(0, countMax), { name: restName(rest.length), values }];
}
