/**
 * What `work` gives, unless the signal aborts first; `work` goes on then.
 *
 * @throws what `work` throws, or the signal's reason.
 */
export async function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return work;
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = (): void => aborted.resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (!signal.aborted) await Promise.race([work, aborted.promise]);
    signal.throwIfAborted();
    return await work;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
