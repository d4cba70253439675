import { testProvider } from "../conformance.ts";
import { BOOT_MS, openGcpBench } from "./test-bench.ts";

testProvider("gcp over the Compute Engine emulator", async () => {
  const { clock, emulator, provider, close } = await openGcpBench();
  return {
    provider,
    limitRoom: async ({ instanceType, zone, purchase }, instanceCountMax) =>
      emulator.setCapacity({
        instanceType,
        ...(zone === undefined ? {} : { zone }),
        market: purchase === "spot" ? "spot" : "on-demand",
        instanceCountMax,
      }),
    exhaustQuota: async ({ quotaGroups }) => {
      for (const group of quotaGroups) {
        const [, region = "", metric = "", market] = group.split("/");
        const prefix = market === "spot" ? "PREEMPTIBLE_" : "";
        emulator.setQuota({ region, metric: `${prefix}${metric}`, limit: 0 });
      }
    },
    passBoot: () => clock.advance(BOOT_MS),
    loseNextRentReply: async () => {
      for (const action of ["instances.insert", "instances.bulkInsert"]) {
        emulator.injectFault({ action, when: "after", effect: { kind: "reset" } });
      }
    },
    breakNextListing: async () =>
      emulator.injectFault({
        action: "instances.aggregatedList",
        when: "before",
        effect: { kind: "error", reason: "backendError", status: 503 },
        times: 2,
      }),
    close,
  };
});
