/**
 * Checks the machine before the agent joins, and then on a cadence.
 *
 * Light checks read what is there and cost nothing; the deeper one runs `dcgmi diag` where DCGM
 * is installed. A command that is not installed says nothing; one that fails to read GPUs that
 * were there before is a fault.
 */
import { MS_PER_HOUR, MS_PER_MINUTE, type Clock } from "../../../core/index.ts";
import { DIAGNOSTIC_ARGS, parseDiagnostic } from "./diagnostic.ts";
import { GPU_READING_ARGS, parseGpuReadings } from "./gpu-readings.ts";
import { judge, type GpuState } from "./judge.ts";
import { parseXids } from "./kernel-log.ts";

/** Runs a program; undefined when it is missing, fails or takes too long. */
export type RunCommand = (
  command: string,
  args: readonly string[],
  timeoutMs: number,
) => Promise<string | undefined>;

export interface HealthWatchOptions {
  readonly clock: Clock;
  readonly run: RunCommand;
  /** Free space and writability of the agent's folder. */
  readonly readDisk: () => Promise<{ readonly freeDiskMiB: number; readonly isWritable: boolean }>;
  /** GPUs that the agent offers; 0 for a machine without, or one that only pretends some. */
  readonly gpuCount: number;
  /** Called after each check with all that is wrong now. */
  readonly onChecked: (faults: readonly string[]) => void;
  readonly onError: (error: unknown, doing: string) => void;
}

/** Time between two light checks, and between two deeper ones. */
export const CHECK_EVERY_MS = MS_PER_MINUTE;
export const DIAGNOSE_EVERY_MS = 24 * MS_PER_HOUR;

const READ_MS_MAX = 15_000;
const DIAGNOSE_MS_MAX = 10 * MS_PER_MINUTE;

/** A watch that runs until it is closed. */
export class HealthWatch {
  readonly #options: HealthWatchOptions;
  readonly #closing = new AbortController();
  #suspects: ReadonlySet<string> = new Set();
  #diagnosticFailures: readonly string[] = [];
  #diagnosedAtMs: number;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
    // The machine works for a day before it is stopped and asked at length.
    this.#diagnosedAtMs = options.clock.nowMs();
  }

  /** One light check, and the deeper one when it is its turn; gives all that is wrong now. */
  async check(): Promise<readonly string[]> {
    const { readDisk, clock, gpuCount } = this.#options;
    if (gpuCount > 0 && clock.nowMs() - this.#diagnosedAtMs >= DIAGNOSE_EVERY_MS) {
      await this.#diagnose();
    }
    const gpus = gpuCount === 0 ? undefined : await this.#readGpus();
    const reading = { ...(await readDisk()), ...(gpus === undefined ? {} : { gpus }) };
    const { faults, suspicions } = judge(reading);
    const lasting = suspicions.filter(({ part }) => this.#suspects.has(part));
    this.#suspects = new Set(suspicions.map(({ part }) => part));
    return [...faults, ...lasting.map(({ text }) => text)];
  }

  /** Checks on the cadence; resolves when it is closed. */
  async run(): Promise<void> {
    const { clock, onChecked, onError } = this.#options;
    const { signal } = this.#closing;
    for (;;) {
      await clock.sleep(CHECK_EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        onChecked(await this.check());
      } catch (error) {
        onError(error, "checking the machine");
      }
    }
  }

  close(): void {
    this.#closing.abort();
  }

  async #readGpus(): Promise<GpuState> {
    const { run, gpuCount } = this.#options;
    const [answer, log] = await Promise.all([
      run("nvidia-smi", GPU_READING_ARGS, READ_MS_MAX),
      run("dmesg", [], READ_MS_MAX),
    ]);
    return {
      expectedCount: gpuCount,
      ...(answer === undefined ? {} : { readings: parseGpuReadings(answer) }),
      xids: parseXids(log ?? ""),
      diagnosticFailures: this.#diagnosticFailures,
    };
  }

  async #diagnose(): Promise<void> {
    this.#diagnosedAtMs = this.#options.clock.nowMs();
    const output = await this.#options.run("dcgmi", DIAGNOSTIC_ARGS, DIAGNOSE_MS_MAX);
    this.#diagnosticFailures = parseDiagnostic(output ?? "") ?? [];
  }
}
