/** The pool over Azure's adapter and the emulated Azure: shortages, evictions, orphans. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { countingIds, DEFAULT_POOL_POLICY, type Offer } from "../core/index.ts";
import { PoolController } from "../pool/controller.ts";
import { memoryLedger } from "../pool/test-pool.ts";
import { openAzureBench } from "../providers/azure/test-bench.ts";

const CREATE = "VirtualMachines.CreateOrUpdate";

type Bench = Awaited<ReturnType<typeof openAzureBench>>;
let bench: Bench;
let offers: readonly Offer[];
let pool: PoolController;
let events: string[];

beforeEach(async () => {
  bench = await openAzureBench();
  offers = (await bench.provider.listOffers()).filter(
    ({ region, purchase, instanceType }) =>
      region === "eastus" && purchase === "spot" && instanceType === "Standard_NC4as_T4_v3",
  );
  events = [];
  pool = aPool();
});
afterEach(() => bench.close());

function aPool(): PoolController {
  return new PoolController({
    providers: new Map([["azure", bench.provider]]),
    ledger: memoryLedger(),
    clock: bench.clock,
    ids: countingIds(),
    policy: DEFAULT_POOL_POLICY,
    clusterId: "cluster-1",
    userDataFor: () => "#cloud-config\n",
    onEvent: ({ kind }) => events.push(kind),
  });
}

/** Ticks with every running machine's agent talking, five seconds apart. */
async function ticks(tickCount: number, wanted: number): Promise<void> {
  const [offer] = offers;
  const line = { offerId: offer?.offerId ?? "", count: wanted, reason: "test" };
  for (let tick = 0; tick < tickCount; tick += 1) {
    const nowMs = bench.clock.nowMs();
    const agents = new Map(
      bench.emulator
        .machines()
        .filter(({ provisioningState }) => provisioningState === "Succeeded")
        .map(({ tags }) => [tags["flotilla:node"] ?? "", { lastHeardAtMs: nowMs }] as const),
    );
    await pool.tick([line], { offers, containers: [], agents, emptySinceMs: new Map() });
    await bench.clock.advance(5_000);
  }
}

it("S10: rents what a short zone lacks from the next, in the same tick, and leaves nothing behind", async () => {
  bench.emulator.setCapacity({ zone: offers[0]?.zone ?? "", instanceCountMax: 2 });
  await ticks(2, 10);
  const zones = bench.emulator.machines().map(({ zone }) => zone);
  expect(zones).toHaveLength(10);
  expect(zones.filter((zone) => zone === offers[0]?.zone)).toHaveLength(2);
  expect(bench.emulator.resources()).toHaveLength(20);
});

it("S18: gives back machines of its cluster that it does not know, and nobody else's", async () => {
  const other = await bench.open({ clusterId: "cluster-2" });
  const request = {
    offers: offers.slice(0, 1),
    nodeIds: ["no_x"],
    clientToken: "lost",
    userData: "",
    tags: {},
  };
  await bench.provider.rent(request);
  await other.rent(request);
  await ticks(20, 0);
  expect(bench.emulator.machines().map(({ tags }) => tags["flotilla:cluster"])).toEqual([
    "cluster-2",
  ]);
  expect(bench.emulator.resources()).toHaveLength(2);
});

it("S21: sweeps the half-made machines of a process that crashed with its ledger", async () => {
  bench.emulator.configure({ createMs: 1_000 });
  bench.emulator.injectFault({
    when: "before",
    effect: { kind: "fail-create", failure: { code: "AllocationFailed", message: "none" } },
    times: 3,
  });
  bench.emulator.injectFault({
    action: "Operations.Get",
    when: "before",
    effect: { kind: "reset" },
    times: 1_000,
  });
  const nodeIds = ["no_a", "no_b", "no_c"];
  const lost = { offers, nodeIds, clientToken: "lost", userData: "", tags: {} };
  await expect(bench.provider.rent(lost)).rejects.toMatchObject({ retryable: true });
  bench.emulator.clearFaults();
  await bench.clock.advance(1_000);
  expect(bench.emulator.machines()).toMatchObject(
    nodeIds.map(() => ({ provisioningState: "Failed" })),
  );
  await ticks(20, 0);
  expect(bench.emulator.machines()).toEqual([]);
  expect(bench.emulator.resources()).toEqual([]);
  expect(events.filter((kind) => kind === "orphan_released")).toHaveLength(3);
});

it("S21: notices a create that failed after its rent was answered, and replaces it", async () => {
  bench.emulator.configure({ createMs: 120_000 });
  bench.emulator.injectFault({
    action: CREATE,
    when: "before",
    effect: { kind: "fail-create", failure: { code: "AllocationFailed", message: "none" } },
  });
  await ticks(1, 1);
  bench.emulator.configure({ createMs: 0 });
  await ticks(40, 1);
  expect(bench.emulator.machines()).toMatchObject([{ provisioningState: "Succeeded" }]);
  expect(bench.emulator.resources()).toHaveLength(2);
});

it("S26: replaces half a fleet that is evicted at once, each machine once", async () => {
  await ticks(10, 12);
  const before = new Set(bench.emulator.machines().map(({ vmId }) => vmId));
  expect(before.size).toBe(12);
  const { evictedCount } = bench.emulator.evictSome({ fraction: 0.5 });
  expect(evictedCount).toBeGreaterThan(0);
  await ticks(30, 12);
  const after = bench.emulator.machines();
  expect(after).toHaveLength(12);
  expect(after.filter(({ vmId }) => !before.has(vmId))).toHaveLength(evictedCount);
  const creates = bench.emulator.journal().filter(({ action }) => action === CREATE);
  expect(creates).toHaveLength(12 + evictedCount);
});
