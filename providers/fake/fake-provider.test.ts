import { describe, expect, it } from "vitest";
import { createRng, MS_PER_HOUR, PlatformError, type Offer } from "../../core/index.ts";
import { catalogOffers } from "../catalog/index.ts";
import { testProvider } from "../conformance.ts";
import type { RentRequest } from "../provider.ts";
import { createFakeProvider, type FakeProviderOptions } from "./fake-provider.ts";
import { createManualClock } from "./manual-clock.ts";

const offers: readonly Offer[] = catalogOffers({
  cloud: "aws",
  regions: ["us-east-1"],
  emulated: true,
}).map((offer) => ({ ...offer, cloud: "fake" }));

const unavailable = new PlatformError("the fake cloud is down; try again", {
  code: "unavailable",
  retryable: true,
});

function open(options: Partial<FakeProviderOptions> = {}) {
  const clock = createManualClock(1_000_000);
  const provider = createFakeProvider({ clock, rng: createRng(7), offers, ...options });
  return { clock, provider };
}

testProvider("fake", () => {
  const quotaLimits: Record<string, number> = {};
  const { clock, provider } = open({ quotaLimits });
  return Promise.resolve({
    provider,
    limitRoom: async (offer, nodeCount) => provider.setCapacity(offer.offerId, nodeCount),
    exhaustQuota: async (offer) => {
      for (const group of offer.quotaGroups) quotaLimits[group] = 0;
    },
    passBoot: (offer) => clock.advance(offer.bootMs),
    loseNextRentReply: async () =>
      provider.failNext({ operation: "rent", error: unavailable, when: "after" }),
    breakNextListing: async () =>
      provider.failNext({ operation: "listNodes", error: unavailable, when: "before" }),
    close: () => provider.close(),
  });
});

const spot = offers.find(({ offerId }) => offerId.endsWith("us-east-1/*/p5.48xlarge/spot"))!;

function request(index: number, offer = spot): RentRequest {
  const id = `no_${String(index)}`;
  return { offers: [offer], nodeIds: [id], clientToken: id, userData: "", tags: {} };
}

describe("createFakeProvider", () => {
  it("gives equal histories to equal seeds", async () => {
    const history = async () => {
      const { clock, provider } = open({ refusalFraction: 0.3, slowBootFraction: 0.3 });
      const seen: unknown[] = [];
      for (let index = 0; index < 30; index += 1) {
        seen.push(await provider.rent(request(index)));
        await clock.advance(MS_PER_HOUR);
        seen.push(await provider.listNodes(), await provider.interruptions());
      }
      return seen;
    };
    expect(await history()).toEqual(await history());
  });

  it("gives notice of a reclaim and ends the machine at the deadline", async () => {
    const { clock, provider } = open({ noticeMs: 120_000 });
    const { rented } = await provider.rent(request(1));
    const id = rented[0]?.providerNodeId ?? "";
    provider.reclaim(id);
    const [notice] = await provider.interruptions();
    expect(notice).toEqual({
      providerNodeId: id,
      noticedAtMs: 1_000_000,
      deadlineMs: 1_120_000,
    });
    await clock.advance(119_999);
    expect((await provider.listNodes()).nodes[0]?.state).not.toBe("terminated");
    await clock.advance(1);
    expect((await provider.listNodes()).nodes[0]?.state).toBe("terminated");
    expect(await provider.interruptions()).toEqual([]);
  });

  it("reclaims spot machines at about the offer's rate, and steady ones never", async () => {
    const hourly = { ...spot, reclaimFractionPerHour: 0.2, nodeCountMax: 2_000 };
    const steady = { ...hourly, offerId: "steady", reclaimFractionPerHour: 0 };
    const { clock, provider } = open({ offers: [hourly, steady], noticeMs: 0 });
    for (let index = 0; index < 2_000; index += 1) {
      await provider.rent(request(index, index % 2 === 0 ? hourly : steady));
    }
    await clock.advance(MS_PER_HOUR - 1);
    const ended = (await provider.listNodes()).nodes.filter(({ state }) => state === "terminated");
    expect(ended.length / 1_000).toBeGreaterThan(0.16);
    expect(ended.length / 1_000).toBeLessThan(0.24);
    expect(ended.every(({ nodeId }) => Number(nodeId?.slice(3)) % 2 === 0)).toBe(true);
  });

  it("boots some machines slowly", async () => {
    const { clock, provider } = open({ slowBootFraction: 1, slowBootFactor: 3 });
    await provider.rent(request(1));
    await clock.advance(spot.bootMs * 3 - 1);
    expect((await provider.listNodes()).nodes[0]?.state).toBe("booting");
    await clock.advance(1);
    expect((await provider.listNodes()).nodes[0]?.state).toBe("running");
  });

  it("hides a new machine until it has become visible", async () => {
    const { clock, provider } = open({ visibilityMs: 5_000 });
    await provider.rent(request(1));
    expect((await provider.listNodes()).nodes).toEqual([]);
    await clock.advance(5_000);
    expect((await provider.listNodes()).nodes).toHaveLength(1);
  });
});

describe("createManualClock", () => {
  it("wakes sleepers in the order of their deadlines and lets go of aborted ones", async () => {
    const clock = createManualClock();
    const woken: string[] = [];
    const abort = new AbortController();
    void clock.sleep(20).then(() => woken.push(`b@${String(clock.nowMs())}`));
    void clock.sleep(10).then(async () => {
      woken.push(`a@${String(clock.nowMs())}`);
      await clock.sleep(5);
      woken.push(`a+@${String(clock.nowMs())}`);
    });
    void clock.sleep(1_000, abort.signal).then(() => woken.push("aborted"));
    abort.abort();
    await clock.advance(30);
    expect(woken).toEqual(["aborted", "a@10", "a+@15", "b@20"]);
    expect(clock.nowMs()).toBe(30);
  });
});
