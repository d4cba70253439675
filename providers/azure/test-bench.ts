/** An Azure provider over its emulator, for tests. */
import { startArmEmulator } from "../emulators/arm/index.ts";
import { createManualClock } from "../fake/index.ts";
import { createAzureProvider, type AzureProviderOptions } from "./provider.ts";

export const BOOT_MS = 30_000;
export const SUBSCRIPTION = "sub-1";
export const GROUP = "group-1";

/** Opens an emulator with one resource group and a provider of two regions over it. */
export async function openAzureBench(
  options: Partial<AzureProviderOptions> = {},
  settings: Parameters<typeof startArmEmulator>[0]["settings"] = {},
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
      clock,
      endpoint: emulator.endpoint,
      credential: {
        getToken: () => Promise.resolve({ token: "fake", expiresOnTimestamp: 4e12 }),
      },
      emulated: true,
      bootMs: BOOT_MS,
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
