/** The real SDK's clients over an emulator with one resource group, for tests. */
import { ComputeManagementClient, type VirtualMachine } from "@azure/arm-compute";
import { NetworkManagementClient } from "@azure/arm-network";
import { createManualClock } from "../../fake/index.ts";
import { startArmEmulator } from "./index.ts";

export const GROUP = "group-1";
export const NETWORK = `/subscriptions/sub-1/resourceGroups/${GROUP}/providers/Microsoft.Network`;
export const SUBNET = `${NETWORK}/virtualNetworks/net/subnets/nodes`;
/** The SDK's own pause between two looks at an operation: none to speak of. */
export const updateIntervalInMs = 1;
export const BOOT_MS = 30_000;

/** Opens an emulator and clients that send a token over plain http and repeat nothing. */
export async function openArmBench() {
  const clock = createManualClock(1_800_000_000_000);
  const emulator = await startArmEmulator({
    clock,
    seed: "test",
    resourceGroups: [`sub-1/${GROUP}`],
    settings: { bootMs: BOOT_MS },
  });
  const credential = {
    getToken: () => Promise.resolve({ token: "fake", expiresOnTimestamp: 4e12 }),
  };
  const options = {
    endpoint: emulator.endpoint,
    allowInsecureConnection: true,
    retryOptions: { maxRetries: 0 },
  };
  const compute = new ComputeManagementClient(credential, "sub-1", options);
  const network = new NetworkManagementClient(credential, "sub-1", options);
  for (const { pipeline } of [compute, network]) {
    pipeline.removePolicy({ name: "bearerTokenAuthenticationPolicy" });
    pipeline.addPolicy({
      name: "bearer",
      sendRequest: (request, next) => {
        request.headers.set("authorization", "Bearer fake");
        return next(request);
      },
    });
  }
  const addInterface = async (name: string): Promise<string> => {
    const ipConfigurations = [{ name: "primary", subnet: { id: SUBNET } }];
    const body = { location: "eastus", ipConfigurations };
    const poller = network.networkInterfaces.createOrUpdate(GROUP, name, body, {
      updateIntervalInMs,
    });
    return (await poller).id ?? "";
  };
  /** Begins to create a machine; in an object, for a poller would be awaited to its end. */
  const start = async (name: string, more: Partial<VirtualMachine> = {}) => {
    const body = machineBody(name, await addInterface(`${name}-nic`), more);
    const poller = compute.virtualMachines.createOrUpdate(GROUP, name, body, {
      updateIntervalInMs,
    });
    await poller.submitted();
    return { poller };
  };
  return { clock, emulator, compute, network, addInterface, start };
}

/** What a create is asked for: a spot machine with an interface and a disk that go with it. */
export function machineBody(
  name: string,
  interfaceId: string,
  more: Partial<VirtualMachine> = {},
): VirtualMachine {
  return {
    location: "eastus",
    tags: { pool: "p1" },
    zones: ["1"],
    hardwareProfile: { vmSize: "Standard_NC4as_T4_v3" },
    priority: "Spot",
    evictionPolicy: "Delete",
    osProfile: {
      computerName: "m1",
      adminUsername: "admin-1",
      adminPassword: "Passw0rd-secret",
      customData: Buffer.from("#!/bin/sh\n").toString("base64"),
    },
    userData: Buffer.from("hello").toString("base64"),
    storageProfile: {
      imageReference: { publisher: "p", offer: "o", sku: "s", version: "latest" },
      osDisk: { name: `${name}-os`, createOption: "FromImage", deleteOption: "Delete" },
    },
    networkProfile: { networkInterfaces: [{ id: interfaceId, deleteOption: "Delete" }] },
    ...more,
  };
}

/** The same for a machine that is not spot. */
export function onDemandBody(name: string, interfaceId: string): VirtualMachine {
  const spot = machineBody(name, interfaceId, { priority: "Regular" });
  delete spot.evictionPolicy;
  return spot;
}
