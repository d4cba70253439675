/**
 * What every provider must do, as one suite that all adapters run.
 *
 * A factory hands out a desk with no machines and the few handles that no port method gives:
 * how to make an offer short, how to let a machine boot, how to make the next call fail.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert, type Offer } from "../core/index.ts";
import type { Provider, ProviderNode, RentRequest } from "./provider.ts";

/** A provider under test, with the handles of its cloud. */
export interface ProviderBench {
  readonly provider: Provider;
  /** Makes the offer impossible to rent until the bench is closed. */
  makeShort(offer: Offer): Promise<void>;
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

/** Declares the suite for one adapter. */
export function testProvider(name: string, open: () => Promise<ProviderBench>): void {
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
    });
    testListing(desk);
    testRenting(desk);
    testRefusals(desk);
    testReleasing(desk);
  });
}

/** What the tests do with the bench of the present test. */
interface Desk {
  readonly bench: () => ProviderBench;
  readonly anOffer: () => Promise<Offer>;
  /** A request with an id, a token and tags of its own. */
  readonly aRequest: (offer: Offer) => RentRequest;
  readonly rented: (request: RentRequest) => Promise<string>;
  /** Machines that boot or run. */
  readonly live: () => Promise<readonly ProviderNode[]>;
}

function deskOf(bench: () => ProviderBench): Desk {
  let count = 0;
  return {
    bench,
    anOffer: async () => {
      const [offer] = await bench().provider.listOffers();
      assert(offer !== undefined, "the provider has no offers");
      return offer;
    },
    aRequest: (offer) => {
      count += 1;
      return {
        offer,
        nodeId: `no_${count}`,
        clientToken: `token-${count}`,
        userData: "#!/bin/sh\necho 'ünïcode & <tags>'\n",
        tags: { plan: `plan-${count}`, owner: "a & b < c" },
      };
    },
    rented: async (request) => {
      const outcome = await bench().provider.rent(request);
      assert(outcome.kind === "rented", `the rent was refused: ${JSON.stringify(outcome)}`);
      return outcome.providerNodeId;
    },
    live: async () => {
      const nodes = await bench().provider.listNodes();
      return nodes.filter(({ state }) => state === "booting" || state === "running");
    },
  };
}

function testListing({ bench, anOffer, aRequest, rented, live }: Desk): void {
  it("lists offers sorted by id, each once, with positive prices", async () => {
    const offers = await bench().provider.listOffers();
    const ids = offers.map(({ offerId }) => offerId);
    expect(ids).toEqual([...new Set(ids)].sort());
    expect(offers.every(({ priceMicroUsdPerHour }) => priceMicroUsdPerHour > 0)).toBe(true);
  });

  it("has no machines and no notices at first", async () => {
    expect(await bench().provider.listNodes()).toEqual([]);
    expect(await bench().provider.interruptions()).toEqual([]);
  });

  it("lists a rented machine with our id and every tag, booting and then running", async () => {
    const offer = await anOffer();
    const request = aRequest(offer);
    const providerNodeId = await rented(request);
    const [first] = await bench().provider.listNodes();
    expect(first).toMatchObject({ providerNodeId, nodeId: request.nodeId, state: "booting" });
    expect(first?.tags).toMatchObject(request.tags);
    expect(Number.isFinite(first?.launchedAtMs)).toBe(true);
    await bench().passBoot(offer);
    expect(await bench().provider.listNodes()).toMatchObject([{ state: "running" }]);
  });

  it("throws when it cannot list, and never gives an empty list instead", async () => {
    await rented(aRequest(await anOffer()));
    await bench().breakNextListing();
    await expect(bench().provider.listNodes()).rejects.toMatchObject({
      name: "PlatformError",
      code: "unavailable",
      retryable: true,
    });
    expect(await live()).toHaveLength(1);
  });
}

function testRenting({ bench, anOffer, aRequest, rented, live }: Desk): void {
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

  it("rents two machines for two tokens", async () => {
    const offer = await anOffer();
    const ids = [await rented(aRequest(offer)), await rented(aRequest(offer))];
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
    const other = { ...request, nodeId: "no_other" };
    await expect(bench().provider.rent(other)).rejects.toMatchObject({ code: "conflict" });
    expect(await live()).toHaveLength(1);
  });
}

function testRefusals({ bench, anOffer, aRequest, live }: Desk): void {
  it("refuses an offer that is short, as a value that speaks of the offer", async () => {
    const offer = await anOffer();
    await bench().makeShort(offer);
    const outcome = await bench().provider.rent(aRequest(offer));
    expect(outcome).toMatchObject({ kind: "refused", scope: { kind: "offer" } });
    expect(await live()).toEqual([]);
  });

  it("refuses over a quota, as a value that names the quota group", async () => {
    const offer = await anOffer();
    await bench().exhaustQuota(offer);
    expect(await bench().provider.rent(aRequest(offer))).toMatchObject({
      kind: "refused",
      scope: { kind: "quota", quotaGroup: offer.quotaGroups[0] },
    });
  });

  it("rejects an offer it does not sell", async () => {
    const offer = { ...(await anOffer()), offerId: "x/y/*/z/spot", region: "y" };
    await expect(bench().provider.rent(aRequest(offer))).rejects.toMatchObject({
      name: "PlatformError",
      code: "invalid_request",
    });
  });
}

function testReleasing({ bench, anOffer, aRequest, rented, live }: Desk): void {
  it("releases machines for good, and what it does not know without an error", async () => {
    const offer = await anOffer();
    const [one, two] = [await rented(aRequest(offer)), await rented(aRequest(offer))];
    const unknown = unknownLike(one);
    await bench().provider.release([unknown, one]);
    await bench().passBoot(offer);
    expect((await live()).map(({ providerNodeId }) => providerNodeId)).toEqual([two]);
    await bench().provider.release([one, two, two]);
    await bench().provider.release([one, unknown]);
    await bench().provider.release([]);
    expect(await live()).toEqual([]);
  });
}

/** An id of the same form that names no machine. */
function unknownLike(providerNodeId: string): string {
  return providerNodeId.replace(/[0-9a-f]{6}$/, "ffffff");
}
