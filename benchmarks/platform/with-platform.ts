/** A platform of a benchmark's own, from its start to its sweeping up. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  startPlatformProcess,
  type RunningPlatform,
} from "../../scripts/platform/platform-process.ts";
import { sweep } from "../../scripts/platform/sweep.ts";

export interface BenchPlatformOptions {
  /** What `flotilla up` is given beside a free port. */
  readonly upArguments?: readonly string[];
  /** Settings for it, beside those of every run. */
  readonly environment?: NodeJS.ProcessEnv;
  /** All of the measuring has ended by then, or fails. */
  readonly wholeMsMax: number;
}

/**
 * Starts a platform, makes it the one that the SDK of this process speaks to, and sweeps up
 * whatever the measuring came to.
 *
 * @throws Error when it does not come up; otherwise what `measure` throws.
 */
export async function withPlatform<Result>(
  { upArguments = [], environment = {}, wholeMsMax }: BenchPlatformOptions,
  measure: (platform: RunningPlatform, scratchDir: string) => Promise<Result>,
): Promise<Result> {
  const scratchDir = mkdtempSync(join(tmpdir(), "flotilla-bench-"));
  let platform: RunningPlatform | undefined;
  try {
    platform = await startPlatformProcess({
      scratchDir,
      upArguments: ["--port", "0", ...upArguments],
      environment,
      signal: AbortSignal.timeout(wholeMsMax),
    });
    process.env["FLOTILLA_SERVER_URL"] = platform.serverUrl;
    process.env["FLOTILLA_TOKEN"] = platform.token;
    return await measure(platform, scratchDir);
  } finally {
    await platform?.stop();
    await sweep(scratchDir);
  }
}
