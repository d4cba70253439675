import { testProvider } from "../conformance.ts";
import { openAzureBench } from "./test-bench.ts";

testProvider("azure over the ARM emulator", async () => {
  const { clock, emulator, provider, close } = await openAzureBench();
  let losesReply = false;
  return {
    provider: {
      cloud: provider.cloud,
      listOffers: () => provider.listOffers(),
      release: (ids) => provider.release(ids),
      listNodes: () => provider.listNodes(),
      interruptions: () => provider.interruptions(),
      close: () => provider.close(),
      rent: async (request) => {
        try {
          return await provider.rent(request);
        } finally {
          if (losesReply) emulator.clearFaults();
          losesReply = false;
        }
      },
    },
    limitRoom: async ({ instanceType, region, zone, purchase }, nodeCount) =>
      emulator.setCapacity({
        instanceType,
        region,
        ...(zone === undefined ? {} : { zone }),
        market: purchase === "spot" ? "spot" : "on-demand",
        instanceCountMax: nodeCount,
      }),
    exhaustQuota: async ({ quotaGroups, region }) => {
      const [, , usage = ""] = (quotaGroups[0] ?? "").split("/");
      emulator.setQuota({ region, usage, vcpuCountMax: 0 });
    },
    passBoot: () => clock.advance(30_000),
    loseNextRentReply: async () => {
      losesReply = true;
      emulator.injectFault({
        action: "VirtualMachines.CreateOrUpdate",
        when: "after",
        effect: { kind: "reset" },
        times: 1_000,
      });
    },
    breakNextListing: async () =>
      emulator.injectFault({
        action: "VirtualMachines.List",
        when: "before",
        effect: { kind: "error", code: "InternalServerError", status: 500 },
        times: 3,
      }),
    close,
  };
});
