/** Listings, releases, notices and offers of Azure, over the emulator and the real SDKs. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Offer } from "../../core/index.ts";
import type { ArmEmulator, Fault } from "../emulators/arm/index.ts";
import type { ManualClock } from "../fake/index.ts";
import type { Provider } from "../provider.ts";
import { namesOf } from "./launch.ts";
import type { AzureProviderOptions } from "./provider.ts";
import { aRequest, BOOT_MS, DEADLINES, GROUP, openAzureBench, SUBSCRIPTION } from "./test-bench.ts";

/** The SDK tries a call this often. */
const TRIES = 3;

let clock: ManualClock;
let emulator: ArmEmulator;
let provider: Provider;
let open: (options?: Partial<AzureProviderOptions>) => Promise<Provider>;
let close: () => Promise<void>;
let offers: ReadonlyMap<string, Offer>;

beforeEach(async () => {
  ({ clock, emulator, provider, open, close } = await openAzureBench());
  offers = new Map((await provider.listOffers()).map((offer) => [offer.offerId, offer]));
});
afterEach(() => close());

const offerAt = (rest: string): Offer => {
  const offer = offers.get(`azure/eastus/${rest}`);
  if (offer === undefined) throw new Error(`no offer ${rest}`);
  return offer;
};
const h100 = (zone = "1"): Offer => offerAt(`${zone}/Standard_ND96isr_H100_v5/on-demand`);
const spot = (zone = "1"): Offer => offerAt(`${zone}/Standard_ND96isr_H100_v5/spot`);
const strike = (action: string, effect: Fault["effect"], more: Partial<Fault> = {}) =>
  emulator.injectFault({ action, when: "before", effect, ...more });
const error = (code: string, status: number): Fault["effect"] => ({ kind: "error", code, status });
const callsOf = (action: string) => emulator.journal().filter((one) => one.action === action);
const idsOf = async (rent: ReturnType<Provider["rent"]>) =>
  (await rent).rented.map(({ providerNodeId }) => providerNodeId);

describe("an inventory of Azure", () => {
  it("S6: does not show a machine yet that a release by its id finds all the same", async () => {
    emulator.configure({ listLagMs: 60_000 });
    const [id = ""] = await idsOf(provider.rent(aRequest([h100()])));
    expect((await provider.listNodes()).nodes).toEqual([]);
    await provider.release([id]);
    expect(emulator.machines()).toEqual([]);
  });

  it("S16: is whole or an error, whichever list or page fails and however", async () => {
    addFleet(450);
    expect((await provider.listNodes()).nodes).toHaveLength(450);
    const page = { kind: "body", status: 200, contentType: "text/html" } as const;
    const effects: readonly Fault["effect"][] = [
      { ...page, body: "<html>Sign in</html>" },
      { ...page, contentType: "application/json", body: "{}" },
      { ...page, body: "" },
      error("InternalServerError", 500),
      error("SomethingNew", 418),
      { kind: "reset" },
    ];
    for (const effect of effects) {
      for (const skipCount of [0, 1, 2]) {
        strike("VirtualMachines.List", effect, { skipCount, times: TRIES });
        strike("VirtualMachines.ListByLocation", effect, { times: 2 * TRIES });
        await expect(provider.listNodes(), JSON.stringify(effect)).rejects.toMatchObject({
          name: "PlatformError",
        });
        emulator.clearFaults();
      }
    }
    for (const action of [
      "VirtualMachines.ListAll",
      "NetworkInterfaces.List",
      "Disks.List",
      "PublicIPAddresses.List",
    ]) {
      strike(action, error("InternalServerError", 500), { times: TRIES });
      await expect(provider.listNodes()).rejects.toMatchObject({ code: "unavailable" });
      emulator.clearFaults();
    }
    expect((await provider.listNodes()).nodes).toHaveLength(450);
  });

  it("S16: begins again when a page is throttled, and repeats or leaves out nothing", async () => {
    addFleet(450);
    const effect = { kind: "error", code: "TooManyRequests", status: 429, retryAfterS: 3 } as const;
    strike("VirtualMachines.List", effect, { skipCount: 1 });
    const ids = (await provider.listNodes()).nodes.map(({ providerNodeId }) => providerNodeId);
    expect(new Set(ids).size).toBe(450);
    expect(ids).toHaveLength(450);
  });

  it("S28: a region that is down hides its own machines and no others", async () => {
    const [east = ""] = await idsOf(provider.rent(aRequest([h100()])));
    const western = (await provider.listOffers()).find(
      ({ region, purchase }) => region === "westeurope" && purchase === "on-demand",
    );
    const [west] = await idsOf(provider.rent(aRequest([western], ["no_2"], "token-2")));
    emulator.configure({ downRegions: ["eastus"] });
    const { nodes, unseen } = await provider.listNodes();
    expect(nodes.map(({ providerNodeId }) => providerNodeId)).toEqual([west]);
    expect(unseen.map(({ region }) => region)).toEqual(["eastus"]);
    expect(await provider.interruptions()).toEqual([]);
    expect(await idsOf(provider.rent(aRequest([western], ["no_3"], "token-3")))).toHaveLength(1);
    await expect(provider.release([east])).rejects.toMatchObject({ code: "unavailable" });
    emulator.configure({ downRegions: [] });
    const again = await provider.listNodes();
    expect(again.unseen).toEqual([]);
    expect(again.nodes.map(({ providerNodeId }) => providerNodeId)).toContain(east);
  });

  it("S28: a region that hangs is waited for no longer than one call may take", async () => {
    await idsOf(provider.rent(aRequest([h100()])));
    for (const action of ["VirtualMachines.List", "VirtualMachines.ListByLocation"]) {
      const place = action === "VirtualMachines.List" ? {} : { place: "eastus" };
      strike(action, { kind: "hang" }, { ...place, fraction: 1 });
    }
    const asked = provider.listNodes();
    const hungCount = () => emulator.journal().filter(({ failure }) => failure === "hang").length;
    for (const count of [1, 2]) {
      await expect.poll(hungCount).toBe(count);
      await clock.advance(DEADLINES.readMs);
    }
    expect((await asked).unseen.map(({ region }) => region)).toEqual(["eastus"]);
  });

  it("S28: machines of regions that nothing is rented in any more are still asked for", async () => {
    const [east = ""] = await idsOf(provider.rent(aRequest([h100()])));
    const elsewhere = await open({ regions: ["westeurope"] });
    strike("VirtualMachines.List", error("InternalServerError", 500), { times: TRIES });
    const { nodes, unseen } = await elsewhere.listNodes();
    expect({ ids: nodes.map(({ providerNodeId }) => providerNodeId), unseen }).toEqual({
      ids: [east],
      unseen: [],
    });
  });

  it("S17: in an outage every call says unavailable, and nothing is taken for absent", async () => {
    const [id = ""] = await idsOf(provider.rent(aRequest([h100()])));
    emulator.injectFault({ when: "before", effect: { kind: "reset" }, times: 100_000 });
    const expected = { name: "PlatformError", code: "unavailable", retryable: true };
    await expect(provider.listNodes()).rejects.toMatchObject(expected);
    await expect(provider.interruptions()).rejects.toMatchObject(expected);
    await expect(provider.release([id])).rejects.toMatchObject(expected);
    await expect(provider.rent(aRequest([h100()], ["no_2"], "token-2"))).rejects.toMatchObject(
      expected,
    );
    emulator.clearFaults();
    expect((await provider.listNodes()).nodes).toMatchObject([{ providerNodeId: id }]);
  });

  it("S23: shows a machine whose release was accepted until it is gone, and takes repeats", async () => {
    emulator.configure({ deleteMs: 60_000 });
    const [id = ""] = await idsOf(provider.rent(aRequest([h100()])));
    await provider.release([id]);
    expect((await provider.listNodes()).nodes).toMatchObject([
      { providerNodeId: id, state: "terminating" },
    ]);
    await provider.release([id, id]);
    await clock.advance(60_000);
    expect((await provider.listNodes()).nodes).toEqual([]);
    await provider.release([id]);
    expect(callsOf("VirtualMachines.Delete")).toHaveLength(1);
    expect(callsOf("VirtualMachines.Delete")[0]?.params).toMatchObject({ forceDeletion: "true" });
  });

  it("S23: sends a release again that Azure accepted and forgot", async () => {
    const [id = ""] = await idsOf(provider.rent(aRequest([h100()])));
    strike("VirtualMachines.Delete", {
      kind: "body",
      status: 202,
      contentType: "text/plain",
      body: "",
    });
    await provider.release([id]);
    expect((await provider.listNodes()).nodes).toMatchObject([{ state: "booting" }]);
    await provider.release([id]);
    expect((await provider.listNodes()).nodes).toEqual([]);
  });

  it("S30: ends a call that is never answered at its deadline, also on a later page", async () => {
    addFleet(450);
    for (const skipCount of [0, 1]) {
      strike("VirtualMachines.List", { kind: "hang" }, { skipCount });
      const before = emulator.journal().length;
      const listed = provider.listNodes();
      await expect
        .poll(() =>
          emulator
            .journal()
            .slice(before)
            .some(({ failure: what }) => what === "hang"),
        )
        .toBe(true);
      await clock.advance(DEADLINES.readMs);
      // The regions are asked one by one then.
      expect((await listed).nodes).toHaveLength(450);
    }
    expect((await provider.listNodes()).nodes).toHaveLength(450);
  });

  it("S31: neither sees, adopts nor releases a machine of another cluster or of nobody", async () => {
    const other = await open({ clusterId: "cluster-2" });
    const [theirs = ""] = await idsOf(other.rent(aRequest([h100()])));
    const [ours = ""] = await idsOf(provider.rent(aRequest([h100()])));
    expect(ours).not.toBe(theirs);
    expect((await provider.listNodes()).nodes).toMatchObject([{ providerNodeId: ours }]);
    await provider.release([theirs]);
    expect(emulator.machines()).toHaveLength(2);
    addFleet(
      1,
      { "flotilla:cluster": "cluster-1", "flotilla:node": "no_9" },
      namesOf("no_9", "cluster-1").machine,
    );
    await expect(provider.rent(aRequest([h100()], ["no_9"], "token-9"))).rejects.toMatchObject({
      code: "conflict",
      retryable: false,
    });
  });
});

describe("a spot machine", () => {
  it("S24: that Azure takes back is an interruption, always of the same instant", async () => {
    emulator.configure({ deleteMs: 120_000 });
    const ids = await idsOf(provider.rent(aRequest([spot()], ["no_1", "no_2"])));
    await clock.advance(BOOT_MS);
    emulator.evict(ids[0]?.split("/")[1] ?? "");
    const atMs = clock.nowMs();
    const expected = [{ providerNodeId: ids[0], noticedAtMs: atMs, deadlineMs: atMs }];
    expect(await provider.interruptions()).toEqual(expected);
    await clock.advance(30_000);
    expect(await provider.interruptions()).toEqual(expected);
    await clock.advance(120_000);
    expect(await provider.interruptions()).toEqual([]);
    expect((await provider.listNodes()).nodes).toMatchObject([{ providerNodeId: ids[1] }]);
    expect(emulator.resources()).toHaveLength(2);
  });

  it("that we release is no interruption", async () => {
    emulator.configure({ deleteMs: 120_000 });
    const [id = ""] = await idsOf(provider.rent(aRequest([spot()])));
    await provider.release([id]);
    expect(await provider.interruptions()).toEqual([]);
  });
});

describe("the offers of Azure", () => {
  it("are those of its zones, without what a subscription may not have", async () => {
    const shut = { region: "eastus", instanceCountMax: 0, code: "SkuNotAvailable" } as const;
    emulator.setCapacity({ ...shut, instanceType: "Standard_ND96isr_H100_v5", zone: "2" });
    emulator.setCapacity({ ...shut, instanceType: "Standard_NC4as_T4_v3" });
    const listed = (await (await open()).listOffers()).map(({ offerId }) => offerId);
    expect(listed).toContain(h100("1").offerId);
    expect(listed).not.toContain(h100("2").offerId);
    expect(listed.filter((id) => id.startsWith("azure/eastus/") && id.includes("NC4as"))).toEqual(
      [],
    );
    expect(listed.some((id) => id.startsWith("azure/westeurope/"))).toBe(true);
  });

  it("S32: stay as they were while the list of sizes cannot be had, for a day", async () => {
    const before = await provider.listOffers();
    emulator.injectFault({ when: "before", effect: { kind: "reset" }, times: 100_000 });
    await clock.advance(23 * 3_600_000);
    expect(await provider.listOffers()).toEqual(before);
    expect(before.every(({ priceMicroUsdPerHour }) => priceMicroUsdPerHour > 0)).toBe(true);
    await clock.advance(2 * 3_600_000);
    const expected = { name: "PlatformError", retryable: true };
    await expect(provider.listOffers()).rejects.toMatchObject(expected);
    await expect((await open()).listOffers()).rejects.toMatchObject(expected);
  });

  it("are asked of Azure once an hour, beside whoever wants them", async () => {
    const count = callsOf("ResourceSkus.List").length;
    await clock.advance(3_599_000);
    await provider.listOffers();
    expect(callsOf("ResourceSkus.List")).toHaveLength(count);
    await clock.advance(1_000);
    await provider.listOffers();
    await expect.poll(() => callsOf("ResourceSkus.List").length).toBeGreaterThan(count);
  });

  it("are no more than the quotas allow", async () => {
    emulator.setQuota({ region: "eastus", usage: "standardNDSH100v5Family", vcpuCountMax: 200 });
    emulator.setQuota({ region: "eastus", usage: "lowPriorityCores", vcpuCountMax: 0 });
    const listed = await (await open()).listOffers();
    const countOf = (wanted: Offer) =>
      listed.find(({ offerId }) => offerId === wanted.offerId)?.nodeCountMax;
    expect(countOf(h100())).toBe(2);
    expect(countOf(spot())).toBe(0);
    expect(countOf(offerAt("1/Standard_NC40ads_H100_v5/on-demand"))).toBe(h100().nodeCountMax);
  });

  it("are not bounded while the quotas cannot be read", async () => {
    strike("Usage.List", error("InternalServerError", 500), { times: 100 });
    expect(await (await open()).listOffers()).toEqual([...offers.values()]);
  });
});

describe("opening the provider", () => {
  it("is refused without a region, a subscription or a group, and for plain http elsewhere", async () => {
    for (const lack of [{ regions: [] }, { subscriptionId: "" }, { resourceGroup: "" }]) {
      await expect(open(lack)).rejects.toMatchObject({ code: "invalid_request" });
    }
    await expect(open({ endpoint: "http://azure.example.com" })).rejects.toThrow(/https address/);
  });
});

function addFleet(
  count: number,
  tags: Readonly<Record<string, string>> = { "flotilla:cluster": "cluster-1" },
  name = "machine-{}",
): void {
  emulator.addPhantoms({
    count,
    subscriptionId: SUBSCRIPTION,
    resourceGroup: GROUP,
    region: "eastus",
    instanceType: "Standard_NC4as_T4_v3",
    market: "on-demand",
    name,
    tags,
  });
}
