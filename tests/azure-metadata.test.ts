/** The node agent's reading of Azure's metadata service, against the emulated one. */
import { afterEach, expect, it } from "vitest";
import { createAzureProvider } from "../providers/azure/provider.ts";
import { startArmEmulator, type ArmEmulator } from "../providers/emulators/arm/index.ts";
import { createManualClock } from "../providers/fake/index.ts";
import { openCloudMetadata } from "../sandbox/agent/cloud-metadata.ts";

let emulator: ArmEmulator;
afterEach(() => emulator.close());

it("S24: a machine knows the id its provider gives it, and when Azure takes it back", async () => {
  const clock = createManualClock(1_800_000_000_000);
  const metadataUrls: string[] = [];
  emulator = await startArmEmulator({
    clock,
    resourceGroups: ["sub-1/group-1"],
    launcher: {
      launch: ({ metadataUrl }) => {
        metadataUrls.push(metadataUrl);
        return Promise.resolve({
          exited: new Promise<never>(() => undefined),
          terminate: () => Promise.resolve(),
        });
      },
    },
  });
  const provider = await createAzureProvider({
    subscriptionId: "sub-1",
    resourceGroup: "group-1",
    regions: ["eastus"],
    clusterId: "c",
    clock,
    endpoint: emulator.endpoint,
    credential: { getToken: () => Promise.resolve({ token: "t", expiresOnTimestamp: 4e12 }) },
  });
  const offers = (await provider.listOffers()).filter(({ purchase }) => purchase === "spot");
  const { rented } = await provider.rent({
    offers: offers.slice(0, 1),
    nodeIds: ["no_1"],
    clientToken: "token-1",
    userData: "#cloud-config\n",
    tags: {},
  });
  const name = rented[0]?.providerNodeId.split("/")[1] ?? "";
  const metadata = openCloudMetadata("azure", { clock, url: metadataUrls[0] ?? "" });
  expect(await metadata.machineIds()).toEqual([emulator.machines()[0]?.vmId, name]);
  expect(await metadata.interruption()).toBeUndefined();
  emulator.evict(name, { noticeMs: 30_000 });
  expect(await metadata.interruption()).toBe(clock.nowMs() + 30_000);
  await provider.close();
});
