/** When a long-running command is told to stop. */

/** One ctrl-C can arrive twice (from the terminal and through npm): within this it is one. */
const SAME_STOP_MS = 1_000;

/**
 * Resolves on the first SIGINT, SIGTERM or SIGHUP. A later one ends the process at once,
 * after `beforeExit`.
 */
export async function nextStop(beforeExit: () => void): Promise<void> {
  let firstAtMs: number | undefined;
  await new Promise<void>((resolve) => {
    const onSignal = (): void => {
      const nowMs = Date.now();
      firstAtMs ??= nowMs;
      resolve();
      if (nowMs - firstAtMs < SAME_STOP_MS) return;
      beforeExit();
      process.exit(130);
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  });
}
