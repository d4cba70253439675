/** A Google Cloud desk over the emulator, with the real client between them. */
import { createRng } from "../../core/index.ts";
import { startGceEmulator, type GceEmulator } from "../emulators/gce/index.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { Provider } from "../provider.ts";
import { createGcpProvider, type GcpProviderOptions } from "./provider.ts";

/** From an insert to a running machine. */
export const BOOT_MS = 30_000;

/** Out of the way of tests that let time pass: an answer comes with the event loop. */
const NO_DEADLINES = { readMs: 86_400_000, changeMs: 86_400_000 };

export interface GcpBench {
  readonly clock: ManualClock;
  readonly emulator: GceEmulator;
  readonly provider: Provider;
  /** Another desk at the same emulator, as of a process that has started again. */
  readonly reopen: (options?: Partial<GcpProviderOptions>) => Promise<Provider>;
  /** Lets time pass in steps of a second until the promise is settled. */
  readonly passingTime: <T>(work: Promise<T>) => Promise<T>;
  readonly close: () => Promise<void>;
}

/** Opens a bench with no machines. */
export async function openGcpBench(options: Partial<GcpProviderOptions> = {}): Promise<GcpBench> {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startGceEmulator({ clock, settings: { bootMs: BOOT_MS }, seed: "test" });
  const opened: Provider[] = [];
  const reopen = async (changes: Partial<GcpProviderOptions> = {}): Promise<Provider> => {
    const provider = await createGcpProvider({
      projectId: emulator.projectId,
      regions: ["us-central1", "europe-west4"],
      clusterId: "cluster-1",
      clock,
      rng: createRng(1),
      endpoint: emulator.endpoint,
      credentials: { kind: "anonymous" },
      emulated: true,
      bootMs: BOOT_MS,
      timeouts: NO_DEADLINES,
      ...options,
      ...changes,
    });
    opened.push(provider);
    return provider;
  };
  return {
    clock,
    emulator,
    provider: await reopen(),
    reopen,
    passingTime: (work) => passTime(clock, work),
    close: async () => {
      await Promise.all(opened.map((provider) => provider.close()));
      await emulator.close();
    },
  };
}

async function passTime<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  const progress = { isSettled: false };
  const settle = (): void => {
    progress.isSettled = true;
  };
  void work.then(settle, settle);
  while (!progress.isSettled) {
    // The answers of a server come with the event loop, and not with the clock.
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(1_000);
  }
  return work;
}
