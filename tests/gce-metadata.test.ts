import { afterEach, beforeEach, expect, it } from "vitest";
import { startGceEmulator, type GceEmulator } from "../providers/emulators/gce/index.ts";
import { createManualClock, type ManualClock } from "../providers/fake/index.ts";
import { createGcpProvider } from "../providers/gcp/provider.ts";
import type { Provider } from "../providers/provider.ts";
import { openCloudMetadata } from "../sandbox/agent/cloud-metadata.ts";

let clock: ManualClock;
let emulator: GceEmulator;
let provider: Provider;
const launched: { instanceId: string; userData: string; metadataUrl: string }[] = [];
beforeEach(async () => {
  clock = createManualClock(1_800_000_000_000);
  launched.length = 0;
  const launcher = {
    launch: async (machine: (typeof launched)[number]) => {
      launched.push(machine);
      const { promise: exited, resolve } = Promise.withResolvers<undefined>();
      return { exited, terminate: async () => resolve(undefined) };
    },
  };
  emulator = await startGceEmulator({ clock, launcher, seed: "test" });
  provider = await createGcpProvider({
    projectId: emulator.projectId,
    regions: ["us-central1"],
    clusterId: "cluster-1",
    clock,
    endpoint: emulator.endpoint,
    credentials: { kind: "anonymous" },
    emulated: true,
  });
});
afterEach(async () => {
  await provider.close();
  await emulator.close();
});

it("S24: a machine of a batch can say which it is, and hears 30 s before its end that it is taken", async () => {
  const offers = (await provider.listOffers()).filter(({ purchase }) => purchase === "spot");
  const { rented } = await provider.rent({
    offers: offers.slice(0, 1),
    nodeIds: ["no_a", "no_b"],
    clientToken: "batch-1",
    userData: "#cloud-config\n",
    tags: {},
  });
  await clock.advance(0);
  expect(launched.map(({ userData }) => userData)).toEqual(["#cloud-config\n", "#cloud-config\n"]);
  for (const machine of launched) {
    const metadata = openCloudMetadata("gcp", { clock, url: machine.metadataUrl });
    const [id, name] = await metadata.machineIds();
    const own = rented.find(({ providerNodeId }) => providerNodeId.endsWith(`/${id ?? ""}`));
    expect(own?.providerNodeId.split("/")[1]).toBe(name);
    expect(await metadata.interruption()).toBeUndefined();
    emulator.preempt({ instanceId: machine.instanceId });
    expect(await metadata.interruption()).toBe(clock.nowMs() + 30_000);
  }
  const told = await provider.interruptions();
  expect(told.map(({ deadlineMs }) => deadlineMs)).toEqual(
    rented.map(() => clock.nowMs() + 30_000),
  );
});
