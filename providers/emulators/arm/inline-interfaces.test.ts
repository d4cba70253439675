import { afterEach, beforeEach, expect, it } from "vitest";
import { GROUP, machineBody, openArmBench, SUBNET, updateIntervalInMs } from "./test-bench.ts";

let bench: Awaited<ReturnType<typeof openArmBench>>;
beforeEach(async () => {
  bench = await openArmBench();
});
afterEach(() => bench.emulator.close());

/** A create that makes its interface and its address along with the machine. */
const bodyWith = (over: object = {}) =>
  machineBody("m1", "", {
    networkProfile: {
      networkApiVersion: "2022-11-01",
      networkInterfaceConfigurations: [
        {
          name: "m1-nic",
          tags: { of: "nic" },
          deleteOption: "Delete",
          ipConfigurations: [
            {
              name: "primary",
              subnet: { id: SUBNET },
              publicIPAddressConfiguration: {
                name: "m1-ip",
                tags: { of: "ip" },
                deleteOption: "Delete",
              },
            },
          ],
        },
      ],
      ...over,
    },
  });
const create = (body: ReturnType<typeof bodyWith>) =>
  bench.compute.virtualMachines.createOrUpdate(GROUP, "m1", body, { updateIntervalInMs });
const resources = () => bench.emulator.resources().map(({ type, tags }) => [type, tags["of"]]);

it("one create makes the interface and the address too, each with its tags", async () => {
  const poller = create(bodyWith());
  await poller.submitted();
  expect(resources().sort()).toEqual([
    ["disks", undefined],
    ["networkInterfaces", "nic"],
    ["publicIPAddresses", "ip"],
  ]);
  const found = await bench.network.networkInterfaces.get(GROUP, "m1-nic");
  expect(found.virtualMachine?.id).toMatch(/virtualMachines\/m1$/);
});

it("they go with their machine, also when its create has failed", async () => {
  const failure = { code: "AllocationFailed", message: "none" };
  const effect = { kind: "fail-create", failure } as const;
  bench.emulator.injectFault({ action: "VirtualMachines.CreateOrUpdate", when: "before", effect });
  await expect(create(bodyWith())).rejects.toThrow("AllocationFailed");
  expect(resources()).toHaveLength(3);
  await bench.compute.virtualMachines.delete(GROUP, "m1", { updateIntervalInMs });
  expect(resources().filter(([type]) => type !== "disks")).toEqual([]);
});

it("a create without any interface, without a version for inline ones or a subnet is refused", async () => {
  const refused = { statusCode: 400 };
  const none = bodyWith({ networkInterfaceConfigurations: [] });
  await expect(create(none)).rejects.toMatchObject({ ...refused, code: "InvalidParameter" });
  const unversioned = machineBody("m1", "", {
    networkProfile: {
      networkInterfaceConfigurations:
        bodyWith().networkProfile?.networkInterfaceConfigurations ?? [],
    },
  });
  await expect(create(unversioned)).rejects.toMatchObject({ ...refused, code: "InvalidParameter" });
  const lost = bodyWith({
    networkInterfaceConfigurations: [
      { name: "n", ipConfigurations: [{ name: "p", subnet: { id: "/nowhere" } }] },
    ],
  });
  await expect(create(lost)).rejects.toMatchObject({ ...refused, code: "LinkedInvalidPropertyId" });
  expect(resources()).toEqual([]);
});
