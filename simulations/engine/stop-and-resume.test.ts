/** A run that is stopped and goes on gives what it would have given, byte for byte. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEFAULT_POLICY, MS_PER_MINUTE, MS_PER_SECOND } from "../../core/index.ts";
import { createSolvers } from "../../optimizer/index.ts";
import { createBaseline } from "../baselines/index.ts";
import type { CapacityPolicy } from "../capacity-policy.ts";
import { spotOffers } from "../market.ts";
import { OurPolicy } from "../policies/ours.ts";
import { testNeeds, testOffer } from "../test-market.ts";
import type { World } from "../world.ts";
import { Flight } from "./flight.ts";
import type { FlightState } from "./flight-state.ts";
import { testFunction, testWorld } from "./test-world.ts";

const SOLVERS = createSolvers();
const SEED = 5;

function ours({ policy: { optimizer, pool } }: World): CapacityPolicy {
  return new OurPolicy({ optimizer, pool, solvers: SOLVERS });
}

/** A fleet that is held ready by forecast, and moved by small savings. */
const SERVING = {
  ...DEFAULT_POLICY,
  optimizer: {
    ...DEFAULT_POLICY.optimizer,
    hysteresisFraction: 0,
    buffers: { ...DEFAULT_POLICY.optimizer.buffers, waitMicroUsdPerGpuHour: 40_000_000 },
  },
  pool: { ...DEFAULT_POLICY.pool, idleReleaseMs: MS_PER_MINUTE },
};

/** What may differ between rough worlds. */
interface Rough {
  readonly hours: number;
  readonly concurrency: number;
  readonly cv: number;
  readonly noticeMs: number;
  readonly gpuCount: number;
  readonly evictsIdle: boolean;
}

const ROUGH: Rough = {
  hours: 0.5,
  concurrency: 2,
  cv: 2,
  noticeMs: 30 * MS_PER_SECOND,
  gpuCount: 0.5,
  evictsIdle: true,
};

/** Two functions that share cards, spot that goes one by one, an outage, launches that fail. */
function roughWorld(over: Partial<Rough> = {}): World {
  const { hours, concurrency, cv, noticeMs, gpuCount, evictsIdle } = { ...ROUGH, ...over };
  const offer = testOffer({
    resources: { gpuCount: 4, cpuMilli: 64_000, memoryMiB: 262_144 },
    nodeCountMax: 60,
    bootMs: 90 * MS_PER_SECOND,
  });
  const spot = spotOffers({
    offer,
    zones: ["a", "b"],
    priceFraction: 0.4,
    reclaimFractionPerHour: 0.7,
    nodeCountMax: 8,
  });
  const part = testNeeds({ preemptible: true, gpu: { types: ["H100"], count: gpuCount } });
  const whole = testNeeds({ preemptible: true });
  const offers = [offer, ...spot];
  const [, first] = offers;
  return testWorld({
    perSecond: 4,
    hours,
    evictsIdle,
    functions: [
      testFunction({
        functionId: "chat",
        needs: part,
        concurrency,
        start: { coldMs: 9 * MS_PER_SECOND, snapshotMs: 2 * MS_PER_SECOND },
      }),
      testFunction({ functionId: "draw", needs: whole, minContainers: 2 }),
    ],
    market: {
      offers,
      bootSpreadFraction: 0.2,
      launchFailureFraction: 0.1,
      reclaimNoticeMs: noticeMs,
      availability:
        first === undefined
          ? []
          : [{ offerIds: [first.offerId], stepMs: 4 * MS_PER_MINUTE, nodeCounts: [8, 2, 5, 0] }],
      events: [
        { kind: "price", atMs: 7 * MS_PER_MINUTE, match: { zone: "b" }, factor: 2.2 },
        { kind: "reclaim", atMs: 12 * MS_PER_MINUTE, match: { purchase: "spot" }, fraction: 0.8 },
        {
          kind: "outage",
          atMs: 17 * MS_PER_MINUTE,
          match: {},
          untilMs: 20 * MS_PER_MINUTE,
        },
      ],
    },
    policy: SERVING,
    arrivalCv: cv,
  });
}

/** A day that rises and falls, on one kind of machine. */
function plainWorld(): World {
  const world = testWorld({ perSecond: 6, hours: 1, policy: SERVING });
  const series = world.trace.series.map((one) => ({
    ...one,
    perSecond: one.perSecond.map((rate, step) => rate * (1 + 0.8 * Math.sin(step / 40))),
  }));
  return { ...world, trace: { ...world.trace, series } };
}

/** The run in one piece, or stopped at these control ticks and gone on with each time. */
async function fly(
  worldOf: () => World,
  policyOf: (world: World) => CapacityPolicy,
  stops: readonly number[],
): Promise<string> {
  let from: FlightState | undefined;
  for (const stop of stops) {
    const caught = await untilTick(worldOf(), policyOf, stop, from);
    from = structuredClone(caught);
    expect(from.ticks).toBe(stop);
  }
  const world = worldOf();
  const options = { seed: SEED, ...(from === undefined ? {} : { from }) };
  return JSON.stringify(await new Flight(world, policyOf(world), options).run());
}

/** Where a run is at a tick; it is given up there. */
async function untilTick(
  world: World,
  policyOf: (world: World) => CapacityPolicy,
  stop: number,
  from: FlightState | undefined,
): Promise<FlightState> {
  const enough = new AbortController();
  let found: FlightState | undefined;
  let ticks = from?.ticks ?? 0;
  const checkpoint = () => {
    const isHere = ticks === stop;
    ticks += 1;
    if (!isHere) return undefined;
    return (state: FlightState): void => {
      // Written down at once: the run goes on for a tick before it hears that it is to end.
      found = structuredClone(state);
      enough.abort(new Error("enough"));
    };
  };
  const options = {
    seed: SEED,
    signal: enough.signal,
    checkpoint,
    ...(from === undefined ? {} : { from }),
  };
  await expect(new Flight(world, policyOf(world), options).run()).rejects.toThrow("enough");
  if (found === undefined) throw new Error(`no tick ${stop}`);
  return found;
}

const WORLDS: Readonly<Record<string, () => World>> = {
  plain: plainWorld,
  rough: () => roughWorld(),
};

test.each([
  ["plain", "ours", ours, [[1], [180], [359], [40, 41, 200]]],
  ["rough", "ours", ours, [[1], [75, 103, 118]]],
  ...(["static", "reactive", "karpenter-like", "knapsack"] as const).map(
    (name) =>
      [
        "rough",
        name,
        (world: World): CapacityPolicy => createBaseline(name, world),
        [[45, 107]],
      ] as const,
  ),
] as const)(
  "a run of the %s world by %s goes on as if it had not been stopped",
  async (worldName, _, policyOf, cuts) => {
    const worldOf = WORLDS[worldName];
    if (worldOf === undefined) throw new Error(worldName);
    const whole = await fly(worldOf, policyOf, []);
    for (const stops of cuts) expect(await fly(worldOf, policyOf, stops)).toBe(whole);
  },
);

const TICKS = 180;

test("so does a run of any such world that is stopped anywhere, as often as it may be", async () => {
  const worlds = fc.record<Rough>({
    hours: fc.constant(ROUGH.hours),
    concurrency: fc.constantFrom(1, 3),
    cv: fc.constantFrom(0.5, 1, 2),
    noticeMs: fc.constantFrom(0, 45 * MS_PER_SECOND),
    gpuCount: fc.constantFrom(0.25, 1, 2),
    evictsIdle: fc.boolean(),
  });
  const stops = fc.uniqueArray(fc.integer({ min: 1, max: TICKS - 1 }), {
    minLength: 1,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(worlds, stops, fc.boolean(), async (rough, unsorted, isOurs) => {
      const worldOf = (): World => roughWorld(rough);
      const policyOf = isOurs ? ours : (world: World) => createBaseline("reactive", world);
      const sorted = unsorted.sort((a, b) => a - b);
      expect(await fly(worldOf, policyOf, sorted)).toBe(await fly(worldOf, policyOf, []));
    }),
    { numRuns: 5 },
  );
});
