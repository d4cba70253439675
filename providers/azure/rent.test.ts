/** Rents from Azure and what can come of them, over the emulator and the real SDKs. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Offer } from "../../core/index.ts";
import type { ArmEmulator, Fault } from "../emulators/arm/index.ts";
import type { ManualClock } from "../fake/index.ts";
import type { Provider } from "../provider.ts";
import { namesOf } from "./launch.ts";
import type { AzureProviderOptions } from "./provider.ts";
import { aRequest, DEADLINES, openAzureBench } from "./test-bench.ts";

const CREATE = "VirtualMachines.CreateOrUpdate";
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
const t4Spot = (): Offer => offerAt("1/Standard_NC4as_T4_v3/spot");
const strike = (action: string, effect: Fault["effect"], more: Partial<Fault> = {}) =>
  emulator.injectFault({ action, when: "before", effect, ...more });
const error = (code: string, status: number): Fault["effect"] => ({ kind: "error", code, status });
const callsOf = (action: string) => emulator.journal().filter((one) => one.action === action);
const idsOf = async (rent: ReturnType<Provider["rent"]>) =>
  (await rent).rented.map(({ providerNodeId }) => providerNodeId);

describe("a rent on Azure", () => {
  it("S22: tags every resource when it is made and never later, and hides the boot data from the metadata endpoint", async () => {
    await provider.rent(aRequest([spot("2")]));
    const tags = {
      "flotilla:cluster": "cluster-1",
      "flotilla:node": "no_1",
      "flotilla:batch": "token-1",
      "flotilla:offer": spot("2").offerId,
      plan: "pl_1",
    };
    expect(emulator.machines()).toMatchObject([
      { tags, zone: "2", market: "spot", region: "eastus" },
    ]);
    expect(emulator.resources().map(({ type }) => type)).toEqual(["networkInterfaces", "disks"]);
    for (const resource of emulator.resources()) expect(resource.tags).toMatchObject(tags);
    expect(callsOf("VirtualMachines.Update")).toEqual([]);
    const [create] = callsOf(CREATE);
    expect(create?.params).toMatchObject({
      priority: "Spot",
      evictionPolicy: "Delete",
      vmSize: "Standard_ND96isr_H100_v5",
      customData: "<20 characters>",
    });
    expect(create?.params).not.toHaveProperty("userData");
  });

  it("gives a machine a public address when it is told to, which goes with the machine", async () => {
    const own = await open({ publicAddresses: true });
    const [id = ""] = await idsOf(own.rent(aRequest([h100()])));
    expect(emulator.resources().map(({ type }) => type)).toContain("publicIPAddresses");
    await own.release([id]);
    await clock.advance(0);
    await own.release([id]);
    expect(emulator.machines()).toEqual([]);
    expect(emulator.resources()).toEqual([]);
  });

  it("makes one call for a machine and all that it needs, and one look for sixteen of them", async () => {
    const before = emulator.journal().length;
    const nodeIds = Array.from({ length: 32 }, (_, index) => `no_${index}`);
    await provider.rent(aRequest([h100()], nodeIds));
    const actions = Map.groupBy(emulator.journal().slice(before), ({ action }) => action);
    expect(Object.fromEntries([...actions].map(([action, made]) => [action, made.length]))).toEqual(
      { [CREATE]: 32, "VirtualMachines.ListAll": 2 },
    );
  });

  it("rents all the same when the states cannot be listed, or do not show a machine yet", async () => {
    strike(
      "VirtualMachines.ListAll",
      { kind: "error", code: "InternalServerError", status: 500 },
      { times: 9 },
    );
    expect((await provider.rent(aRequest([h100()]))).rented).toHaveLength(1);
    emulator.clearFaults();
    emulator.configure({ listLagMs: 600_000 });
    const { rented } = await provider.rent(aRequest([h100()], ["no_2"], "token-2"));
    expect(rented).toHaveLength(1);
  });

  it("answers when a machine has a host, and does not wait for its boot", async () => {
    const beforeMs = clock.nowMs();
    await provider.rent(aRequest([h100()]));
    expect(clock.nowMs()).toBe(beforeMs);
    expect(emulator.machines()).toMatchObject([{ provisioningState: "Creating" }]);
  });

  it("takes a machine for rented when Azure does not decide in time, and lists its failure", async () => {
    emulator.configure({ createMs: 300_000 });
    strike(CREATE, failure("AllocationFailed"));
    const [id] = await idsOf(provider.rent(aRequest([h100()])));
    expect((await provider.listNodes()).nodes).toMatchObject([
      { providerNodeId: id, state: "booting" },
    ]);
    await clock.advance(300_000);
    expect((await provider.listNodes()).nodes).toMatchObject([
      { providerNodeId: id, state: "terminating" },
    ]);
  });

  it("does not let one slow machine of a batch hold up the others' creates", async () => {
    strike(CREATE, { kind: "hang" }, { params: { name: nameOf("no_1") } });
    const rent = provider.rent(aRequest([h100()], ["no_1", "no_2", "no_3"]));
    const failed = expect(rent).rejects.toMatchObject({ code: "timed_out" });
    await expect.poll(() => emulator.machines().length).toBe(2);
    await expect.poll(() => callsOf(CREATE).length).toBe(3);
    await clock.advance(DEADLINES.changeMs);
    await failed;
    expect(await idsOf(provider.rent(aRequest([h100()], ["no_1", "no_2", "no_3"])))).toHaveLength(
      3,
    );
    expect(emulator.machines()).toHaveLength(3);
  });

  it("S2: finds the machine of a request whose sender crashed before it heard the answer", async () => {
    const first = await idsOf(provider.rent(aRequest([h100(), h100("2")], ["no_1", "no_2"])));
    const restarted = await open();
    const again = await idsOf(restarted.rent(aRequest([h100(), h100("2")], ["no_1", "no_2"])));
    expect(again).toEqual(first);
    expect(emulator.machines()).toHaveLength(2);
  });

  it("S2: cut off at any call, before or after it took effect, ends with one machine", async () => {
    let isCut = true;
    for (let cut = 0; isCut; cut += 1) {
      for (const when of ["before", "after"] as const) {
        const token = `token-${cut}-${when}`;
        const request = aRequest([h100("1"), h100("2")], [`no_${token}`], token);
        // The first zone's create fails, so that the cleaning up is cut off too.
        strike(CREATE, failure("AllocationFailed"), { params: { zone: "1" }, times: 1_000 });
        emulator.injectFault({ when, effect: { kind: "reset" }, skipCount: cut, times: 1_000 });
        const cutOff = await Promise.allSettled([provider.rent(request)]);
        isCut = cutOff[0].status === "rejected";
        emulator.clearFaults();
        strike(CREATE, failure("AllocationFailed"), { params: { zone: "1" }, times: 1_000 });
        const restarted = await open();
        const { rented } = await restarted.rent(request);
        expect(rented).toMatchObject([{ offerId: h100("2").offerId }]);
        expect(emulator.machines()).toMatchObject([{ zone: "2" }]);
        await restarted.release(rented.map(({ providerNodeId }) => providerNodeId));
        await clock.advance(0);
        expect((await restarted.listNodes()).nodes).toEqual([]);
        expect(emulator.resources()).toEqual([]);
        emulator.clearFaults();
      }
    }
  });

  it("S3: heals a lost reply inside one rent: the repeat finds the machine by its name", async () => {
    for (const effect of [{ kind: "reset" }, error("InternalServerError", 500)] as const) {
      strike(CREATE, effect, { when: "after" });
    }
    const { rented } = await provider.rent(aRequest([h100()]));
    expect(rented).toMatchObject([{ offerId: h100().offerId }]);
    expect(emulator.machines()).toHaveLength(1);
  });

  it("S3: tries no other offer while the outcome of the first is unknown", async () => {
    strike(CREATE, { kind: "reset" }, { when: "after", times: TRIES });
    const request = aRequest([h100("1"), h100("2")]);
    await expect(provider.rent(request)).rejects.toMatchObject({
      code: "unavailable",
      retryable: true,
    });
    expect(new Set(callsOf(CREATE).map(({ params }) => params["zone"]))).toEqual(new Set(["1"]));
    const restarted = await open();
    expect((await restarted.rent(request)).rented).toMatchObject([{ offerId: h100().offerId }]);
    expect(emulator.machines()).toHaveLength(1);
  });

  it("S10: goes on to the next zone when one is short, and says which", async () => {
    emulator.setCapacity({ region: "eastus", zone: "1", instanceCountMax: 0 });
    const { rented, refusals } = await provider.rent(aRequest([h100("1"), h100("2")]));
    expect(rented).toMatchObject([{ offerId: h100("2").offerId }]);
    expect(refusals).toMatchObject([{ offerId: h100("1").offerId, scope: { kind: "offer" } }]);
    expect(refusals[0]?.reason).toMatch(/^ZonalAllocationFailed: /);
  });

  it("S10: takes every way in which Azure says that it has none for the same", async () => {
    const codes = [
      "SkuNotAvailable",
      "AllocationFailed",
      "OverconstrainedAllocationRequest",
      "OverconstrainedZonalAllocationRequest",
    ] as const;
    for (const [index, code] of codes.entries()) {
      emulator.setCapacity({ zone: "1", instanceCountMax: 0, code });
      const request = aRequest([h100("1"), h100("2")], [`no_${index}`], `token-${index}`);
      const { rented, refusals } = await provider.rent(request);
      expect(rented).toMatchObject([{ offerId: h100("2").offerId }]);
      expect(refusals[0]?.reason).toContain(`${code}: `);
    }
  });

  it("S12: a spot quota refuses all spot offers at once, and no create is wasted on them", async () => {
    emulator.setQuota({ region: "eastus", usage: "lowPriorityCores", vcpuCountMax: 3 });
    const { rented, refusals } = await provider.rent(aRequest([spot("1"), spot("2"), t4Spot()]));
    expect(rented).toEqual([]);
    const scope = { kind: "quota", quotaGroup: "azure/eastus/lowPriorityCores/spot" };
    expect(refusals).toMatchObject([{ scope }, { scope }, { scope }]);
    expect(callsOf(CREATE)).toHaveLength(1);
    expect(emulator.resources()).toEqual([]);
  });

  it("S12: a family's quota refuses the family, and the next family is rented", async () => {
    emulator.setQuota({ region: "eastus", usage: "standardNDSH100v5Family", vcpuCountMax: 0 });
    const other = offerAt("1/Standard_NC40ads_H100_v5/on-demand");
    const { rented, refusals } = await provider.rent(aRequest([h100("1"), h100("2"), other]));
    expect(rented).toMatchObject([{ offerId: other.offerId }]);
    const quotaGroup = "azure/eastus/standardNDSH100v5Family/on-demand";
    expect(refusals.map(({ scope }) => scope)).toEqual([
      { kind: "quota", quotaGroup },
      { kind: "quota", quotaGroup },
    ]);
  });

  it("S12: a region's quota refuses every family of it", async () => {
    emulator.setQuota({ region: "eastus", usage: "cores", vcpuCountMax: 2 });
    const other = offerAt("1/Standard_NC40ads_H100_v5/on-demand");
    const { rented, refusals } = await provider.rent(aRequest([h100("1"), other]));
    expect(rented).toEqual([]);
    const scope = { kind: "quota", quotaGroup: "azure/eastus/cores/on-demand" };
    expect(refusals).toMatchObject([{ scope }, { scope }]);
    expect(callsOf(CREATE)).toHaveLength(1);
  });

  it("S14: a disabled subscription is refused as a whole, missing rights are an error", async () => {
    strike(CREATE, error("ReadOnlyDisabledSubscription", 409));
    const { refusals } = await provider.rent(aRequest([h100("1"), spot("1")].slice(0, 1)));
    expect(refusals).toMatchObject([{ scope: { kind: "cloud" } }]);
    strike(CREATE, error("AuthorizationFailed", 403));
    await expect(provider.rent(aRequest([h100()], ["no_2"], "token-2"))).rejects.toMatchObject({
      code: "auth_failed",
      retryable: false,
    });
    strike("VirtualMachines.List", error("AuthorizationFailed", 403));
    await expect(provider.listNodes()).rejects.toMatchObject({ code: "auth_failed" });
  });

  it("S15: in a storm of throttles waits as it is told, blocks no offer, and rents each once", async () => {
    emulator.setRate({ kind: "write", rate: { burst: 3, perSecond: 1 } });
    const nodeIds = Array.from({ length: 8 }, (_, index) => `no_${index}`);
    const request = aRequest([h100()], nodeIds);
    let outcome: Awaited<ReturnType<Provider["rent"]>> | undefined;
    for (let round = 0; outcome === undefined && round < 20; round += 1) {
      outcome = await provider.rent(request).catch((thrown: unknown) => {
        expect(thrown).toMatchObject({ name: "PlatformError", retryable: true });
        return undefined;
      });
    }
    expect(outcome?.rented).toHaveLength(8);
    expect(outcome?.refusals).toEqual([]);
    expect(emulator.machines()).toHaveLength(8);
    expect(callsOf(CREATE).some(({ status }) => status === 429)).toBe(true);
  });

  it("S15: a throttle of one call is waited out, for as long as the answer says", async () => {
    strike(CREATE, { kind: "error", code: "OperationNotAllowed", status: 429, retryAfterS: 9 });
    const beforeMs = clock.nowMs();
    const { rented, refusals } = await provider.rent(aRequest([h100()]));
    expect(rented).toHaveLength(1);
    expect(refusals).toEqual([]);
    expect(clock.nowMs() - beforeMs).toBeGreaterThanOrEqual(9_000);
  });
});

describe("a create that fails", () => {
  it("S21: leaves neither machine nor interface nor disk, before and after the next offer", async () => {
    strike(CREATE, failure("AllocationFailed"), { params: { zone: "1" }, times: 99 });
    const first = await provider.rent(aRequest([h100("1")], ["no_1", "no_2"]));
    expect(first.rented).toEqual([]);
    expect(emulator.machines()).toEqual([]);
    expect(emulator.resources()).toEqual([]);
    const second = await provider.rent(
      aRequest([h100("1"), h100("2")], ["no_3", "no_4"], "token-2"),
    );
    expect(second.rented.map(({ offerId }) => offerId)).toEqual([
      h100("2").offerId,
      h100("2").offerId,
    ]);
    expect(emulator.machines().map(({ zone }) => zone)).toEqual(["2", "2"]);
    expect(emulator.resources()).toHaveLength(4);
    expect(emulator.resources().every(({ usedBy }) => usedBy !== undefined)).toBe(true);
  });

  it("S21: takes the public address along, which its interface holds to the end", async () => {
    const own = await open({ publicAddresses: true });
    strike(CREATE, failure("AllocationFailed"));
    emulator.configure({ networkMs: 1_000 });
    expect((await own.rent(aRequest([h100()]))).rented).toEqual([]);
    expect(emulator.resources()).toEqual([]);
  });

  it("S21: is cleaned up by a machine that dies at boot too, when it dies within the rent", async () => {
    emulator.configure({ bootMs: 0 });
    strike(CREATE, { kind: "die-at-boot" });
    const { rented, refusals } = await provider.rent(aRequest([h100()]));
    expect(rented).toEqual([]);
    expect(refusals[0]?.reason).toContain("OSProvisioning");
    expect(emulator.resources()).toEqual([]);
  });

  it("S21: after a crash is listed half-made, and the same request cleans up and goes on", async () => {
    emulator.configure({ createMs: 10_000 });
    strike(CREATE, failure("AllocationFailed"), { params: { zone: "1" } });
    strike("Operations.Get", { kind: "reset" }, { times: 99 });
    const request = aRequest([h100("1"), h100("2")]);
    await expect(provider.rent(request)).rejects.toMatchObject({ retryable: true });
    await clock.advance(10_000);
    emulator.clearFaults();
    const restarted = await open();
    expect((await restarted.listNodes()).nodes).toMatchObject([
      { nodeId: "no_1", clientToken: "token-1", state: "terminating" },
    ]);
    emulator.configure({ createMs: 0 });
    const { rented, refusals } = await restarted.rent(request);
    expect(rented).toMatchObject([{ nodeId: "no_1", offerId: h100("2").offerId }]);
    expect(refusals).toMatchObject([{ offerId: h100("1").offerId }]);
    expect(refusals[0]?.reason).toContain("AllocationFailed");
    expect(emulator.machines()).toMatchObject([{ zone: "2" }]);
  });

  it("S21: is no machine on its way out for whoever lists while the rent goes on", async () => {
    strike(CREATE, failure("AllocationFailed"), { params: { zone: "1" } });
    strike("VirtualMachines.Delete", { kind: "hang" });
    const rent = provider.rent(aRequest([h100("1"), h100("2")]));
    const failed = expect(rent).rejects.toMatchObject({ code: "timed_out" });
    await expect.poll(() => callsOf("VirtualMachines.Delete").length).toBe(1);
    expect((await provider.listNodes()).nodes).toMatchObject([
      { nodeId: "no_1", state: "booting" },
    ]);
    await clock.advance(DEADLINES.changeMs);
    await failed;
    expect((await provider.listNodes()).nodes).toMatchObject([
      { nodeId: "no_1", state: "terminating" },
    ]);
  });

  it("S21: keeps an interface listed that Azure holds, until a release can remove it", async () => {
    emulator.configure({ nicReservedMs: 180_000 });
    strike(CREATE, failure("AllocationFailed"));
    expect((await provider.rent(aRequest([spot()]))).rented).toEqual([]);
    expect(emulator.machines()).toEqual([]);
    const [node] = (await provider.listNodes()).nodes;
    expect(node).toMatchObject({ nodeId: "no_1", state: "terminating", clientToken: "token-1" });
    await provider.release([node?.providerNodeId ?? ""]);
    expect(emulator.resources()).toHaveLength(1);
    await clock.advance(180_000);
    await provider.release([node?.providerNodeId ?? ""]);
    expect(emulator.resources()).toEqual([]);
    expect((await provider.listNodes()).nodes).toEqual([]);
  });

  it("S21: says nothing certain while the failed machine is not gone", async () => {
    emulator.configure({ deleteMs: 600_000 });
    strike(CREATE, failure("AllocationFailed"));
    const request = aRequest([h100("1"), h100("2")]);
    await expect(provider.rent(request)).rejects.toMatchObject({
      code: "unavailable",
      retryable: true,
    });
    expect(emulator.machines()).toMatchObject([{ zone: "1", provisioningState: "Deleting" }]);
    emulator.configure({ deleteMs: 0 });
    await clock.advance(600_000);
    expect((await provider.rent(request)).rented).toHaveLength(1);
    expect(emulator.machines()).toHaveLength(1);
  });
});

function failure(code: string): Fault["effect"] {
  return { kind: "fail-create", failure: { code, message: `${code}, injected` } };
}

/** The name that a node's machine would have. */
function nameOf(nodeId: string): string {
  return namesOf(nodeId, "cluster-1").machine;
}
