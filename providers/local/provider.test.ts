import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MS_PER_HOUR, PlatformError, type Offer } from "../../core/index.ts";
import { testProvider } from "../conformance.ts";
import { createManualClock, type ManualClock } from "../fake/index.ts";
import type { Provider, RentRequest } from "../provider.ts";
import { processIdentity } from "./process-identity.ts";
import { createLocalProvider, type LocalProviderOptions } from "./provider.ts";
import { openTestHost, type TestHost } from "./test-host.ts";

const MACHINE = {
  resources: { gpuCount: 2, cpuMilli: 8_000, memoryMiB: 32_768 },
  gpuType: "L4",
  emulated: true,
} as const;

function openBench() {
  const scratchDir = mkdtempSync(join(tmpdir(), "flotilla-local-"));
  const clock = createManualClock(1_000_000);
  const host = openTestHost();
  const bookPath = join(scratchDir, "data", "machines.json");
  return {
    clock,
    host,
    bookPath,
    desk: (options: Partial<LocalProviderOptions> = {}) =>
      createLocalProvider({ machine: MACHINE, clock, host, bookPath, ...options }),
    close: async () => {
      await host.close();
      rmSync(scratchDir, { recursive: true });
    },
  };
}

testProvider(
  "local over processes of this machine",
  async () => {
    const { clock, host, bookPath, close } = openBench();
    let isBroken = false;
    const options: { nodeCountMax: 0 | 1 } & LocalProviderOptions = {
      ...{ machine: MACHINE, priceMicroUsdPerHour: 120_000, nodeCountMax: 1 },
      ...{ clock, host, bookPath },
      identityOf: (pid) => {
        const wasBroken = isBroken;
        isBroken = false;
        return wasBroken
          ? Promise.reject(new PlatformError("no", { code: "unavailable", retryable: true }))
          : processIdentity(pid);
      },
    };
    const provider = createLocalProvider(options);
    return {
      provider,
      limitRoom: async (_offer, nodeCount) => {
        options.nodeCountMax = nodeCount === 0 ? 0 : 1;
      },
      exhaustQuota: () => Promise.reject(new Error("this machine has no quotas")),
      passBoot: ({ bootMs }) => clock.advance(bootMs),
      loseNextRentReply: async () => host.loseNextReply(),
      breakNextListing: async () => {
        isBroken = true;
      },
      close: async () => {
        await provider.close();
        await close();
      },
    };
  },
  { nodeCountMax: 1, hasPairs: false, hasQuotas: false },
);

describe("this machine as a provider", () => {
  let bench: ReturnType<typeof openBench>;
  let clock: ManualClock;
  let host: TestHost;
  let provider: Provider;
  let offer: Offer;

  beforeEach(async () => {
    bench = openBench();
    ({ clock, host } = bench);
    provider = bench.desk();
    [offer] = (await provider.listOffers()) as [Offer];
  });
  afterEach(() => bench.close());

  const request = (token: string, change: Partial<RentRequest> = {}): RentRequest => ({
    offers: [offer],
    nodeIds: [`no_${token}`],
    clientToken: token,
    userData: `start ${token}`,
    tags: { "flotilla:cluster": "c" },
    ...change,
  });
  const rented = async (token: string, desk = provider): Promise<string> =>
    (await desk.rent(request(token))).rented[0]?.providerNodeId ?? "";
  const states = async (desk: Provider): Promise<Readonly<Record<string, string>>> =>
    Object.fromEntries(
      (await desk.listNodes()).nodes.map(({ providerNodeId, state }) => [providerNodeId, state]),
    );

  it("offers itself once, as it is, for nothing unless it is said to cost something", async () => {
    expect(await provider.listOffers()).toEqual([
      {
        offerId: "local/local/*/this-machine/on-demand",
        cloud: "local",
        region: "local",
        instanceType: "this-machine",
        purchase: "on-demand",
        ...MACHINE,
        priceMicroUsdPerHour: 0,
        reclaimFractionPerHour: 0,
        bootMs: offer.bootMs,
        nodeCountMax: 1,
        quotaGroups: [],
      },
    ]);
    const [priced] = await bench.desk({ priceMicroUsdPerHour: 5 }).listOffers();
    expect(priced?.priceMicroUsdPerHour).toBe(5);
  });

  it("has no room to offer while it is rented, and again when it is given back", async () => {
    const room = async () => (await provider.listOffers())[0]?.nodeCountMax;
    const id = await rented("a");
    expect(await room()).toBe(0);
    await provider.release([id]);
    expect(await room()).toBe(1);
    expect(host.launches).toEqual([{ machineId: id, userData: "start a" }]);
  });

  it("lists a machine whose agent has ended by itself as ended, and can be rented anew", async () => {
    const first = await rented("a");
    await host.kill(first);
    expect(await states(provider)).toEqual({ [first]: "terminated" });
    expect(await rented("a")).toBe(first);
    expect(host.launches).toHaveLength(1);
    const second = await rented("b");
    await clock.advance(offer.bootMs);
    expect(await states(provider)).toEqual({ [first]: "terminated", [second]: "running" });
  });

  it("finds the agent of a control plane that crashed, starts no second one, and ends it", async () => {
    const id = await rented("a");
    const next = bench.desk();
    expect(await states(next)).toEqual({ [id]: "booting" });
    expect((await next.rent(request("b"))).refusals).toHaveLength(1);
    expect(await rented("a", next)).toBe(id);
    await next.release([id]);
    expect(await host.find(id)).toBeUndefined();
    expect(await states(next)).toEqual({ [id]: "terminated" });
    expect(await states(bench.desk())).toEqual({ [id]: "terminated" });
    expect(host.launches).toHaveLength(1);
  });

  it("takes up an agent that was started just before the control plane crashed", async () => {
    host.loseNextReply();
    await expect(provider.rent(request("a"))).rejects.toMatchObject({ code: "unavailable" });
    const next = bench.desk();
    const [machine] = (await next.listNodes()).nodes;
    expect(machine).toMatchObject({ nodeId: "no_a", clientToken: "a", state: "booting" });
    expect(await rented("a", next)).toBe(machine?.providerNodeId);
    expect(host.launches).toHaveLength(1);
  });

  it("forgets an intent that started nothing, and starts it when it is asked again", async () => {
    host.failNext(new Error("no memory"));
    await expect(provider.rent(request("a"))).rejects.toMatchObject({
      name: "PlatformError",
      code: "unavailable",
      retryable: true,
      message: expect.stringMatching(/rent local.* for node no_a: no memory/) as string,
    });
    expect((await provider.listNodes()).nodes).toEqual([]);
    await rented("a");
    expect(host.launches).toHaveLength(1);
  });

  it("is not fooled by a stranger that has the pid of its agent by now", async () => {
    const id = await rented("a");
    await host.kill(id);
    const book = readFileSync(bench.bookPath, "utf8");
    // This very process runs, and began long before.
    writeFileSync(bench.bookPath, book.replace(/"pid":\d+/, `"pid":${process.pid}`));
    const next = bench.desk();
    expect(await states(next)).toEqual({ [id]: "terminated" });
    expect((await next.listOffers())[0]?.nodeCountMax).toBe(1);
  });

  it("sells nothing when it is not for rent, and still gives back what was rented before", async () => {
    const id = await rented("a");
    const closed = bench.desk({ nodeCountMax: 0 });
    expect((await closed.listOffers())[0]?.nodeCountMax).toBe(0);
    expect((await closed.rent(request("b"))).rented).toEqual([]);
    await closed.release([id]);
    expect(await host.find(id)).toBeUndefined();
  });

  it("rejects a request that names another offer of this machine", async () => {
    const other = { ...offer, offerId: "local/local/*/other/on-demand" };
    const both = request("a", { offers: [offer, other] });
    await expect(provider.rent(both)).rejects.toMatchObject({ code: "invalid_request" });
    expect(host.launches).toEqual([]);
  });

  it("forgets released machines after an hour, and at once when there are too many", async () => {
    for (let count = 0; count < 70; count += 1) {
      host.failNext(new Error("not this time"));
      await provider.rent(request(`failed-${count}`)).catch(() => undefined);
      await provider.release([await rented(`t${count}`)]);
    }
    expect((await provider.listNodes()).nodes.map(({ clientToken }) => clientToken)).toEqual(
      Array.from({ length: 64 }, (_, index) => `t${index + 6}`),
    );
    await clock.advance(MS_PER_HOUR);
    const id = await rented("last");
    expect(Object.keys(await states(provider))).toEqual([id]);
  });

  it("says what to do when its book is none", async () => {
    await rented("a");
    for (const text of ["", "[]", '{"machines":[{}]}', "{"]) {
      writeFileSync(bench.bookPath, text);
      await expect(bench.desk().listNodes()).rejects.toMatchObject({
        code: "unavailable",
        message: expect.stringMatching(/machines\.json is not a book.*flotilla down/) as string,
      });
    }
  });
});
