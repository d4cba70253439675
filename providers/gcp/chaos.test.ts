import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng, PlatformError, type Offer } from "../../core/index.ts";
import type { Fault } from "../emulators/gce/index.ts";
import type { Provider, RentOutcome, RentRequest } from "../provider.ts";
import { openGcpBench, type GcpBench } from "./test-bench.ts";

const SEEDS = Array.from({ length: 25 }, (_, index) => index + 1);
const REPEATS_MAX = 80;

const EFFECTS: readonly Fault["effect"][] = [
  { kind: "reset" },
  { kind: "error", reason: "backendError", status: 503 },
  { kind: "error", reason: "internalError", status: 500 },
  { kind: "body", status: 200, contentType: "text/html", body: "<html>" },
  { kind: "body", status: 200, contentType: "application/json", body: "{}" },
];

let bench: GcpBench;
let offers: readonly Offer[];
beforeAll(async () => {
  bench = await openGcpBench();
  offers = (await bench.provider.listOffers()).filter(
    ({ region, instanceType, purchase }) =>
      region === "us-central1" && instanceType === "g2-standard-8" && purchase === "spot",
  );
});
afterAll(() => bench.close());

/** Asks until there is an answer, letting time pass in between. */
async function insist(provider: Provider, request: RentRequest): Promise<RentOutcome> {
  for (let repeat = 0; repeat < REPEATS_MAX; repeat += 1) {
    try {
      return await bench.passingTime(provider.rent(request));
    } catch (error) {
      if (!(error instanceof PlatformError) || !error.retryable) throw error;
    }
  }
  throw new Error(`no answer after ${String(REPEATS_MAX)} requests`);
}

describe("S1 S2 S3 S5 S6 under faults of every kind, in any order", () => {
  it.each(SEEDS)("no node has two machines and none is lost (seed %i)", async (seed) => {
    const rng = createRng(`chaos-${String(seed)}`);
    const { emulator, provider } = bench;
    emulator.configure({
      visibilityMs: rng.below(3) * 5_000,
      flickerMs: 30_000,
      flickerFraction: rng.next() / 2,
      operationMs: rng.below(3) * 2_000,
    });
    const used = offers.slice(0, 2 + rng.below(2));
    for (const { zone = "" } of used) {
      const present = emulator.instances().filter((machine) => machine.zone === zone).length;
      emulator.setCapacity({ zone, instanceCountMax: present + rng.below(6) });
    }
    for (const effect of EFFECTS) {
      for (const when of ["before", "after"] as const) {
        emulator.injectFault({ effect, when, fraction: rng.next() / 12, times: 1_000 });
      }
    }
    const request: RentRequest = {
      offers: used,
      nodeIds: Array.from({ length: 1 + rng.below(8) }, (_, index) => `no_${seed}x${index}`),
      clientToken: `chaos-${String(seed)}`,
      userData: "",
      tags: {},
    };
    const first = await insist(provider, request);
    const again = await insist(provider, request);
    expect(emulator.journal().some(({ failure }) => failure !== undefined)).toBe(true);
    emulator.clearFaults();
    await bench.clock.advance(60_000);
    const last = await provider.rent(request);
    const machines = emulator.instances().filter(({ name }) => name.startsWith(`no-${seed}x`));
    const where = JSON.stringify({ first, again, last });
    expect(new Set(machines.map(({ name }) => name)).size, where).toBe(machines.length);
    expect(again.rented, where).toEqual(first.rented);
    expect(last.rented, where).toEqual(first.rented);
    expect(
      machines.map(({ zone, name, instanceId }) => `${zone}/${name}/${instanceId}`).sort(),
      where,
    ).toEqual(first.rented.map(({ providerNodeId }) => providerNodeId).sort());
    expect(first.rented.length + first.refusals.length, where).toBeGreaterThan(0);
    for (const { zone = "" } of used) emulator.setCapacity({ zone });
  });
});
