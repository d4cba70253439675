/** Requests to providers that are under way at once. */
const AT_ONCE = 8;

/** Runs work for every item, so many at once; fails as the first that fails. */
export async function inChunks<T>(
  items: readonly T[],
  run: (item: T) => Promise<void>,
): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    await Promise.all(items.slice(start, start + AT_ONCE).map(run));
  }
}
