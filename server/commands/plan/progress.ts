/** Says on stderr that a long step is still going. */
const FIRST_AFTER_MS = 1_000;
const EVERY_MS = 5_000;

/** The outcome of `work`; what takes longer than a second shows that it goes on. */
export async function withProgress<Result>(
  doing: string,
  limitMs: number,
  work: Promise<Result>,
): Promise<Result> {
  const startedMs = performance.now();
  const limit = `${limitMs / 1_000} s for the solver`;
  const say = (): void => {
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    console.error(`• ${doing}: ${seconds} s (at most about ${limit}; ctrl-C ends it)`);
  };
  let every: NodeJS.Timeout | undefined;
  const first = setTimeout(() => {
    say();
    every = setInterval(say, EVERY_MS);
  }, FIRST_AFTER_MS);
  try {
    return await work;
  } finally {
    clearTimeout(first);
    clearInterval(every);
  }
}
