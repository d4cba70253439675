/**
 * One question to each region of a cloud at once, of which each may fail or hang alone.
 *
 * A region that has not answered in `REGION_DEADLINE_MS` counts as failed, and whoever asked
 * goes on with the others: so much, and no more, does one region delay them.
 */
import { assert, MS_PER_SECOND, PlatformError, type Clock } from "../core/index.ts";
import type { UnseenPlace } from "./provider.ts";

/** Longest wait for all pages of one region; a page has a deadline of its own. */
export const REGION_DEADLINE_MS = 10 * MS_PER_SECOND;

/** What regions said, and which did not. */
export interface RegionalAnswers<T> {
  /** In the order of the regions. */
  readonly answers: readonly { readonly region: string; readonly answer: T }[];
  readonly unseen: readonly UnseenPlace[];
}

/**
 * Asks every region.
 *
 * @throws PlatformError that of the first region, when every one fails. What is no
 *   `PlatformError` is a bug and is thrown on.
 */
export async function askEachRegion<T>(
  regions: readonly string[],
  ask: (region: string) => Promise<T>,
  clock: Clock,
): Promise<RegionalAnswers<T>> {
  assert(regions.length > 0, "a cloud has regions to ask");
  const settled = await Promise.allSettled(
    regions.map((region) => inTime(region, ask(region), clock)),
  );
  const answers: { readonly region: string; readonly answer: T }[] = [];
  const failures: { readonly region: string; readonly error: PlatformError }[] = [];
  for (const [index, result] of settled.entries()) {
    const region = regions[index] ?? "";
    if (result.status === "fulfilled") answers.push({ region, answer: result.value });
    else if (result.reason instanceof PlatformError)
      failures.push({ region, error: result.reason });
    else throw result.reason;
  }
  const [first] = failures;
  if (answers.length === 0 && first !== undefined) throw first.error;
  return {
    answers,
    unseen: failures.map(({ region, error }) => ({ region, reason: error.message })),
  };
}

async function inTime<T>(region: string, answer: Promise<T>, clock: Clock): Promise<T> {
  const settled = new AbortController();
  const late = clock.sleep(REGION_DEADLINE_MS, settled.signal).then(() => {
    throw new PlatformError(
      `region ${region} did not answer within ${REGION_DEADLINE_MS} ms; it is asked again`,
      { code: "timed_out", retryable: true, details: { region } },
    );
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    settled.abort();
    // The loser of the race is not looked at any more.
    for (const one of [answer, late]) one.catch(() => undefined);
  }
}
