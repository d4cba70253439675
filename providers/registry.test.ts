import { expect, it } from "vitest";
import { createRng } from "../core/index.ts";
import { createManualClock } from "./fake/index.ts";
import { openTestHost } from "./local/test-host.ts";
import { createProviders } from "./registry.ts";

const clock = createManualClock();
const fake = { clock, rng: createRng(1), offers: [] };

it("opens the named desks by cloud, and no other", async () => {
  const aws = { regions: ["us-east-1"], clusterId: "c", clock };
  const azure = {
    subscriptionId: "s",
    resourceGroup: "g",
    regions: ["eastus"],
    clusterId: "c",
    clock,
    credential: { getToken: () => Promise.resolve(null) },
  };
  const gcp = { projectId: "p", regions: ["us-central1"], clusterId: "c", clock };
  const machine = { resources: { gpuCount: 0, cpuMilli: 1, memoryMiB: 1 }, emulated: false };
  const local = { machine, clock, bookPath: "/nowhere/machines.json", host: openTestHost() };
  const providers = await createProviders({ aws, azure, gcp, local, fake });
  expect([...providers.keys()]).toEqual(["aws", "azure", "gcp", "local", "fake"]);
  for (const [cloud, provider] of providers) {
    expect(provider.cloud).toBe(cloud);
    await provider.close();
  }
  expect((await createProviders({})).size).toBe(0);
});

it("fails as a whole when one desk cannot be opened", async () => {
  const aws = { regions: [], clusterId: "c", clock };
  await expect(createProviders({ aws, fake })).rejects.toMatchObject({ code: "invalid_request" });
});
