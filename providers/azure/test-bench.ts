/** An Azure provider over its emulator, for tests. */
import type { Clock, Offer } from "../../core/index.ts";
import { REGION_DEADLINE_MS } from "../by-region.ts";
import { startArmEmulator } from "../emulators/arm/index.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { RentRequest } from "../provider.ts";
import { GATHER_MS } from "./state-board.ts";
import { createAzureProvider, type AzureProviderOptions } from "./provider.ts";

export const BOOT_MS = 30_000;
export const SUBSCRIPTION = "sub-1";
export const GROUP = "group-1";
/** Deadlines of reads and changes: unlike any other wait, so that only tests pass them. */
export const DEADLINES = { readMs: 60_001, changeMs: 90_001 };

type EmulatorSettings = NonNullable<Parameters<typeof startArmEmulator>[0]["settings"]>;

/**
 * Opens an emulator with one resource group and a provider of two regions over it. Time passes
 * when a test says so, and by itself when the provider waits between two looks.
 */
export async function openAzureBench(
  options: Partial<AzureProviderOptions> = {},
  settings: EmulatorSettings = {},
) {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startArmEmulator({
    clock,
    settings: { bootMs: BOOT_MS, ...settings },
    resourceGroups: [`${SUBSCRIPTION}/${GROUP}`],
    seed: "test",
  });
  const open = (more: Partial<AzureProviderOptions> = {}) =>
    createAzureProvider({
      subscriptionId: SUBSCRIPTION,
      resourceGroup: GROUP,
      regions: ["eastus", "westeurope"],
      clusterId: "cluster-1",
      clock: windingClock(clock, [...Object.values(DEADLINES), REGION_DEADLINE_MS, GATHER_MS]),
      endpoint: emulator.endpoint,
      credential: {
        getToken: () => Promise.resolve({ token: "fake", expiresOnTimestamp: 4e12 }),
      },
      emulated: true,
      bootMs: BOOT_MS,
      timeouts: { ...DEADLINES, retryPauseMs: 1 },
      ...options,
      ...more,
    });
  const provider = await open();
  const close = async (): Promise<void> => {
    await provider.close();
    await emulator.close();
  };
  return { clock, emulator, provider, open, close };
}

/** A request for some nodes with a token, user data and a tag. */
export function aRequest(
  offers: readonly (Offer | undefined)[],
  nodeIds: readonly string[] = ["no_1"],
  clientToken = "token-1",
): RentRequest {
  return {
    offers: offers.filter((offer) => offer !== undefined),
    nodeIds,
    clientToken,
    userData: "#cloud-config\n",
    tags: { plan: "pl_1" },
  };
}

/** A clock that moves on whenever somebody waits by it, but for the named durations. */
function windingClock(clock: ManualClock, deadlines: readonly number[]): Clock {
  let turn = Promise.resolve();
  return {
    nowMs: () => clock.nowMs(),
    sleep: (durationMs, signal) => {
      if (deadlines.includes(durationMs)) return clock.sleep(durationMs, signal);
      turn = turn.then(() => clock.advance(durationMs));
      return turn;
    },
  };
}
