/**
 * What every provider must do, as one suite that all adapters run.
 *
 * A factory hands out a desk with no machines and the few handles that no port method gives:
 * how to limit an offer, how to let a machine boot, how to make the next call fail.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert, type Offer } from "../core/index.ts";
import { RENT_COUNT_MAX, type Provider, type ProviderNode, type RentRequest } from "./provider.ts";

/** A provider under test, with the handles of its cloud. */
export interface ProviderBench {
  readonly provider: Provider;
  /** Lets so many machines of the offer be rented, and no more, until the bench is closed. */
  limitRoom(offer: Offer, nodeCount: number): Promise<void>;
  /** Makes every further machine of the offer's first quota group exceed its quota. */
  exhaustQuota(offer: Offer): Promise<void>;
  /** Passes the time a machine of the offer takes to boot. */
  passBoot(offer: Offer): Promise<void>;
  /** Makes the next rent apply and lose its answer in every try the adapter makes. */
  loseNextRentReply(): Promise<void>;
  /** Makes the next listing fail in every try the adapter makes. */
  breakNextListing(): Promise<void>;
  close(): Promise<void>;
}

/** What a cloud has, where it is less than any number of machines of many kinds. */
export interface CloudExtent {
  /** Most machines that it ever has at once, whatever room is made. */
  readonly nodeCountMax: number;
  /** Whether a request may name two of its offers. */
  readonly hasPairs: boolean;
  /** Whether there are quotas that bind several offers. */
  readonly hasQuotas: boolean;
}

/** A cloud from which enough can be had for every case of the suite. */
const WIDE: CloudExtent = { nodeCountMax: Infinity, hasPairs: true, hasQuotas: true };

/**
 * Declares the suite for one adapter.
 *
 * @param extent What the cloud has; when absent every case is run at its full size.
 */
export function testProvider(
  name: string,
  open: () => Promise<ProviderBench>,
  extent: CloudExtent = WIDE,
): void {
  describe(`provider ${name}`, () => {
    let bench: ProviderBench | undefined;
    beforeEach(async () => {
      bench = await open();
    });
    afterEach(async () => {
      await bench?.close();
    });
    const desk = deskOf(() => {
      assert(bench !== undefined, "the bench is opened before each test");
      return bench;
    }, extent);
    testListing(desk);
    testRenting(desk);
    testBatches(desk);
    testBatchesThatGoWrong(desk);
    testRefusals(desk);
    testBadRequests(desk);
    testReleasing(desk);
  });
}

/** What the tests do with the bench of the present test. */
interface Desk {
  readonly bench: () => ProviderBench;
  readonly extent: CloudExtent;
  /** So many machines, or as many as the cloud has. */
  readonly atMost: (nodeCount: number) => number;
  readonly anOffer: () => Promise<Offer>;
  /** Two offers that one request may name, with as many GPUs each. */
  readonly twoOffers: () => Promise<readonly [Offer, Offer]>;
  /** A request with ids, a token and tags of its own; one machine unless more are asked for. */
  readonly aRequest: (offers: Offer | readonly Offer[], nodeCount?: number) => RentRequest;
  /** Rents all of a request; gives the provider ids in the order of its node ids. */
  readonly rentedAll: (request: RentRequest) => Promise<readonly string[]>;
  /** Rents a request for one machine. */
  readonly rented: (request: RentRequest) => Promise<string>;
  /** Machines that boot or run. */
  readonly live: () => Promise<readonly ProviderNode[]>;
}

function deskOf(bench: () => ProviderBench, extent: CloudExtent): Desk {
  let count = 0;
  const rentedAll = async (request: RentRequest): Promise<readonly string[]> => {
    const { rented, refusals } = await bench().provider.rent(request);
    assert(
      rented.length === request.nodeIds.length,
      `not all were rented: ${JSON.stringify(refusals)}`,
    );
    return rented.map(({ providerNodeId }) => providerNodeId);
  };
  return {
    bench,
    extent,
    atMost: (nodeCount) => Math.min(nodeCount, extent.nodeCountMax),
    anOffer: async () => firstOf(await bench().provider.listOffers()),
    twoOffers: async () => pairOf(await bench().provider.listOffers()),
    aRequest: (offers, nodeCount = 1) => {
      count += 1;
      return {
        offers: "offerId" in offers ? [offers] : offers,
        nodeIds: Array.from({ length: nodeCount }, (_, index) => `no_${count}x${index}`),
        clientToken: `token-${count}`,
        userData: "#!/bin/sh\necho 'ünïcode & <tags>'\n",
        tags: { plan: `plan-${count}`, owner: "a & b < c" },
      };
    },
    rentedAll,
    rented: async (request) => {
      const [providerNodeId] = await rentedAll(request);
      assert(providerNodeId !== undefined, "a request asks for at least one machine");
      return providerNodeId;
    },
    live: async () => {
      const nodes = (await bench().provider.listNodes()).nodes;
      return nodes.filter(({ state }) => state === "booting" || state === "running");
    },
  };
}

function firstOf(offers: readonly Offer[]): Offer {
  const [offer] = offers;
  assert(offer !== undefined, "the provider has no offers");
  return offer;
}

function pairOf(offers: readonly Offer[]): readonly [Offer, Offer] {
  for (const one of offers) {
    const other = offers.find(
      (candidate) =>
        candidate.offerId !== one.offerId &&
        candidate.region === one.region &&
        candidate.purchase === one.purchase &&
        candidate.resources.gpuCount === one.resources.gpuCount,
    );
    if (other !== undefined) return [one, other];
  }
  throw new Error("the provider has no two offers that one request may name");
}

function testListing({ bench, anOffer, aRequest, rented, live }: Desk): void {
  it("lists offers sorted by id, each once, with positive prices", async () => {
    const offers = await bench().provider.listOffers();
    const ids = offers.map(({ offerId }) => offerId);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(offers.every(({ priceMicroUsdPerHour }) => priceMicroUsdPerHour > 0)).toBe(true);
  });

  it("has no machines and no notices at first", async () => {
    expect((await bench().provider.listNodes()).nodes).toEqual([]);
    expect(await bench().provider.interruptions()).toEqual([]);
  });

  it("lists a rented machine with our id and every tag, booting and then running", async () => {
    const offer = await anOffer();
    const request = aRequest(offer);
    const providerNodeId = await rented(request);
    const [first] = (await bench().provider.listNodes()).nodes;
    const [nodeId] = request.nodeIds;
    const { clientToken } = request;
    expect(first).toMatchObject({ providerNodeId, nodeId, clientToken, state: "booting" });
    expect(first?.tags).toMatchObject(request.tags);
    expect(Number.isFinite(first?.launchedAtMs)).toBe(true);
    await bench().passBoot(offer);
    expect((await bench().provider.listNodes()).nodes).toMatchObject([{ state: "running" }]);
  });

  it("says so when it cannot list a region, and never leaves machines out instead", async () => {
    const offer = await anOffer();
    const providerNodeId = await rented(aRequest(offer));
    await bench().breakNextListing();
    try {
      const { nodes, unseen } = await bench().provider.listNodes();
      const isListed = nodes.some((one) => one.providerNodeId === providerNodeId);
      const isUnseen = unseen.some(({ region }) => region === offer.region);
      expect({ isListed, isUnseen }).not.toEqual({ isListed: false, isUnseen: false });
    } catch (error) {
      const expected = { name: "PlatformError", code: "unavailable", retryable: true };
      expect(error).toMatchObject(expected);
    }
    expect(await live()).toHaveLength(1);
  });
}

function testRenting({ bench, atMost, anOffer, aRequest, rented, live }: Desk): void {
  it("rents one machine for one token, however often it is asked", async () => {
    const request = aRequest(await anOffer());
    const first = await rented(request);
    expect(await rented(request)).toBe(first);
    expect(await live()).toHaveLength(1);
  });

  it("rents one machine for equal requests made at the same time", async () => {
    const request = aRequest(await anOffer());
    const ids = await Promise.all([1, 2, 3].map(() => rented(request)));
    expect(new Set(ids).size).toBe(1);
    expect(await live()).toHaveLength(1);
  });

  it("rents two machines for two tokens, as far as there are two", async () => {
    const offer = await anOffer();
    const outcomes = [
      await bench().provider.rent(aRequest(offer)),
      await bench().provider.rent(aRequest(offer)),
    ];
    const ids = outcomes.flatMap(({ rented: some }) =>
      some.map(({ providerNodeId }) => providerNodeId),
    );
    expect(new Set(ids).size).toBe(atMost(2));
    const listed = (await live()).map(({ providerNodeId }) => providerNodeId);
    expect(listed.sort()).toEqual(ids.sort());
  });

  it("repairs a lost reply by the same request: still one machine", async () => {
    const request = aRequest(await anOffer());
    await bench().loseNextRentReply();
    await expect(bench().provider.rent(request)).rejects.toMatchObject({
      name: "PlatformError",
      retryable: true,
    });
    const providerNodeId = await rented(request);
    expect(await live()).toMatchObject([{ providerNodeId }]);
  });

  it("rents nothing more under a token whose machine was released", async () => {
    const offer = await anOffer();
    const request = aRequest(offer);
    const providerNodeId = await rented(request);
    await bench().provider.release([providerNodeId]);
    await bench().passBoot(offer);
    expect(await rented(request)).toBe(providerNodeId);
    expect(await live()).toEqual([]);
  });

  it("never rents a second machine under a token that was used for another node", async () => {
    const request = aRequest(await anOffer());
    await rented(request);
    const other = { ...request, nodeIds: ["no_other"] };
    await expect(bench().provider.rent(other)).rejects.toMatchObject({ code: "conflict" });
    expect(await live()).toHaveLength(1);
  });
}

const BATCH_SIZE = 5;

function testBatches({ bench, atMost, anOffer, aRequest, live }: Desk): void {
  it("rents a batch: each node one machine, in the order asked, each with the batch's tags", async () => {
    const offer = await anOffer();
    const request = aRequest(offer, atMost(BATCH_SIZE));
    const { rented, refusals } = await bench().provider.rent(request);
    expect(rented.map(({ nodeId }) => nodeId)).toEqual(request.nodeIds);
    expect(rented.every(({ offerId }) => offerId === offer.offerId)).toBe(true);
    expect(refusals).toEqual([]);
    const listed = await live();
    expect(new Set(listed.map(({ providerNodeId }) => providerNodeId))).toEqual(
      new Set(rented.map(({ providerNodeId }) => providerNodeId)),
    );
    expect(listed).toHaveLength(atMost(BATCH_SIZE));
    for (const machine of listed) {
      const own = rented.find(({ providerNodeId }) => providerNodeId === machine.providerNodeId);
      expect([own?.nodeId, undefined]).toContain(machine.nodeId);
      expect(machine.clientToken).toBe(request.clientToken);
      expect(machine.tags).toMatchObject(request.tags);
    }
  });

  it("rents what there is of a batch, and says of which offer there is no more", async () => {
    const offer = await anOffer();
    await bench().limitRoom(offer, atMost(2));
    const request = aRequest(offer, BATCH_SIZE);
    const { rented, refusals } = await bench().provider.rent(request);
    expect(rented).toHaveLength(atMost(2));
    expect(refusals).toMatchObject([{ offerId: offer.offerId, scope: { kind: "offer" } }]);
    const order = rented.map(({ nodeId }) => request.nodeIds.indexOf(nodeId));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(await live()).toHaveLength(atMost(2));
  });

  it("gives the same machines to the same nodes when a partly rented batch is repeated", async () => {
    const offer = await anOffer();
    await bench().limitRoom(offer, atMost(3));
    const request = aRequest(offer, BATCH_SIZE);
    const first = await bench().provider.rent(request);
    await bench().limitRoom(offer, atMost(10));
    const again = await bench().provider.rent(request);
    expect(again.rented).toEqual(first.rented);
    expect(again.refusals).not.toEqual([]);
    expect(first.rented).toHaveLength(atMost(3));
    expect(await live()).toHaveLength(atMost(3));
  });
}

function testBatchesThatGoWrong({
  bench,
  extent,
  atMost,
  anOffer,
  twoOffers,
  aRequest,
  rentedAll,
  live,
}: Desk): void {
  it("repairs the lost reply of a batch by the same request: no machine too many", async () => {
    const request = aRequest(await anOffer(), atMost(BATCH_SIZE));
    await bench().loseNextRentReply();
    await expect(bench().provider.rent(request)).rejects.toMatchObject({
      name: "PlatformError",
      retryable: true,
    });
    const first = await rentedAll(request);
    expect(await rentedAll(request)).toEqual(first);
    const listed = (await live()).map(({ providerNodeId }) => providerNodeId);
    expect(listed.sort()).toEqual([...first].sort());
  });

  it.runIf(extent.hasPairs)(
    "falls over to the next offer of the request when the better one is short",
    async () => {
      const [better, other] = await twoOffers();
      await bench().limitRoom(better, 0);
      const request = aRequest([better, other], 2);
      const { rented } = await bench().provider.rent(request);
      expect(rented.map(({ offerId }) => offerId)).toEqual([other.offerId, other.offerId]);
      expect(await live()).toHaveLength(2);
    },
  );

  it("refuses every offer of a request for which there is nothing at all", async () => {
    const offers = extent.hasPairs ? await twoOffers() : [await anOffer()];
    for (const offer of offers) await bench().limitRoom(offer, 0);
    const { rented, refusals } = await bench().provider.rent(aRequest(offers, 2));
    expect(rented).toEqual([]);
    expect(new Set(refusals.map(({ offerId }) => offerId))).toEqual(
      new Set(offers.map(({ offerId }) => offerId)),
    );
    expect(await live()).toEqual([]);
  });
}

function testRefusals({ bench, extent, anOffer, aRequest, live }: Desk): void {
  it("refuses an offer that is short, as a value that speaks of the offer", async () => {
    const offer = await anOffer();
    await bench().limitRoom(offer, 0);
    const { rented, refusals } = await bench().provider.rent(aRequest(offer));
    expect(rented).toEqual([]);
    expect(refusals).toMatchObject([{ offerId: offer.offerId, scope: { kind: "offer" } }]);
    expect(refusals[0]?.reason).not.toBe("");
    expect(await live()).toEqual([]);
  });

  it.runIf(extent.hasQuotas)(
    "refuses over a quota, as a value that names the quota group",
    async () => {
      const offer = await anOffer();
      await bench().exhaustQuota(offer);
      const { rented, refusals } = await bench().provider.rent(aRequest(offer));
      expect(rented).toEqual([]);
      expect(refusals).toMatchObject([
        { offerId: offer.offerId, scope: { kind: "quota", quotaGroup: offer.quotaGroups[0] } },
      ]);
    },
  );
}

function testBadRequests({ bench, anOffer, aRequest, live }: Desk): void {
  it("rejects an offer it does not sell", async () => {
    const offer = { ...(await anOffer()), offerId: "x/y/*/z/spot", region: "y" };
    await expect(bench().provider.rent(aRequest(offer))).rejects.toMatchObject({
      name: "PlatformError",
      code: "invalid_request",
    });
  });

  it("rejects a request that breaks the rules of the port, and rents nothing", async () => {
    const offer = await anOffer();
    const good = aRequest(offer, 2);
    const broken: readonly Partial<RentRequest>[] = [
      { offers: [] },
      { offers: [offer, offer] },
      { offers: [offer, { ...offer, offerId: "other", purchase: "reserved" }] },
      { nodeIds: [] },
      { nodeIds: ["no_1", "no_1"] },
      { nodeIds: Array.from({ length: RENT_COUNT_MAX + 1 }, (_, index) => `no_${index}`) },
      { clientToken: "" },
      { clientToken: "with space" },
      { clientToken: "x".repeat(65) },
    ];
    for (const fault of broken) {
      await expect(bench().provider.rent({ ...good, ...fault })).rejects.toMatchObject({
        name: "PlatformError",
        code: "invalid_request",
        retryable: false,
      });
    }
    expect(await live()).toEqual([]);
  });
}

function testReleasing({ bench, extent, anOffer, aRequest, rented, live }: Desk): void {
  const liveIds = async (): Promise<readonly string[]> =>
    (await live()).map(({ providerNodeId }) => providerNodeId);

  it("releases machines for good, and what it does not know without an error", async () => {
    const offer = await anOffer();
    const one = await rented(aRequest(offer));
    const others = extent.nodeCountMax > 1 ? [await rented(aRequest(offer))] : [];
    const unknown = unknownLike(one);
    await bench().provider.release([unknown]);
    expect(await liveIds()).toContain(one);
    await bench().provider.release([unknown, one]);
    await bench().passBoot(offer);
    expect(await liveIds()).toEqual(others);
    await bench().provider.release([one, ...others, ...others]);
    await bench().provider.release([one, unknown]);
    await bench().provider.release([]);
    expect(await live()).toEqual([]);
  });

  it("rents anew what was released, under another token and as another machine", async () => {
    const offer = await anOffer();
    const first = await rented(aRequest(offer));
    await bench().provider.release([first]);
    await bench().passBoot(offer);
    const second = await rented(aRequest(offer));
    expect(second).not.toBe(first);
    expect(await liveIds()).toEqual([second]);
  });
}

/** An id of the same form that names no machine. */
function unknownLike(providerNodeId: string): string {
  return providerNodeId.replace(/[0-9a-f]{6}$/, "ffffff");
}
