import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import type { Allowed } from "../../documents/index.ts";
import { testWorld } from "../engine/test-world.ts";
import { sizeOfSearch } from "./budget.ts";
import type { Figures } from "./figures.ts";
import { readObjective } from "./objective.ts";
import { verdictOf, type TuneOutcome } from "./outcome.ts";
import { readParameters } from "./params.ts";
import { studyOf } from "./study.ts";
import { tune, type FlightWish, type TuneOptions, type TuneProgress } from "./tune.ts";
import { searchWindows } from "./windows.ts";

const SCHEMA = new URL("../../docs/policy.schema.json", import.meta.url);
const schema = JSON.parse(readFileSync(SCHEMA, "utf8")) as Allowed;

const objective = readObjective("cost + 0.01*waitP99Ms", ["cost", "waitP99Ms"]);
const parameters = readParameters("buffers.quantile=0.5..1,churnUsd=0..1", { schema, keys: {} });
const windows = searchWindows(testWorld({ hours: 40 }).trace, { trainFraction: 0.5, seedCount: 2 });

/** Dearer with more buffer, slower with less; best at 0.8 and 0.3. The base policy is at 0.5. */
function figuresOf({ settings, seed }: FlightWish): Figures {
  const quantile = Number(settings["buffers.quantile"] ?? 0.5);
  const churn = Number(settings["churnUsd"] ?? 1);
  const noise = createRng(`${seed}`).next() / 10;
  return {
    cost: 10 + 4 * quantile + 5 * (churn - 0.3) ** 2 + noise,
    waitP99Ms: 100 * 4 * ((1 - quantile) ** 2 / 0.4),
  };
}

interface TestTune extends Partial<TuneOptions> {
  readonly runs?: number;
}

async function run({ runs = 60, ...over }: TestTune = {}): Promise<TuneOutcome> {
  return await tune({
    objective,
    parameters,
    windows,
    size: sizeOfSearch({ runs, rungCount: windows.rungs.length, seedCount: 2 }),
    seed: 1,
    jobCount: 4,
    isAllowed: () => true,
    fly: async (wish) => figuresOf(wish),
    ...over,
  });
}

it("finds settings near the best there are, and judges them where nothing was chosen", async () => {
  const { best, base, candidates } = await run({ runs: 150 });
  expect(best.settings["churnUsd"]).toBeGreaterThan(0.1);
  expect(best.settings["churnUsd"]).toBeLessThan(0.5);
  expect(best.settings["buffers.quantile"]).toBeGreaterThan(0.65);
  expect(best.train.value).toBeLessThan(base.train.value);
  expect(candidates[0]?.id).toBe(best.id);
  expect(best.heldOut.flights).toHaveLength(windows.heldOut.seeds.length);
});

it("never flies a seed or a window of the held-out stretch while it searches", async () => {
  const wishes: FlightWish[] = [];
  const outcome = await run({
    fly: async (wish) => {
      wishes.push(wish);
      return figuresOf(wish);
    },
  });
  const { fromMs } = windows.heldOut.span;
  const heldOut = wishes.filter(({ span }) => span.untilMs > fromMs);
  expect(heldOut.every(({ span }) => span.fromMs >= fromMs)).toBe(true);
  expect(heldOut.every(({ seed }) => windows.heldOut.seeds.includes(seed))).toBe(true);
  const train = wishes.filter(({ span }) => span.untilMs <= fromMs);
  expect(train.some(({ seed }) => windows.heldOut.seeds.includes(seed))).toBe(false);
  // But for the base policy's, the last flights of all.
  const last = wishes.slice(-heldOut.length + 2);
  expect(last.every((wish) => heldOut.includes(wish))).toBe(true);
  const judged = outcome.candidates.filter((one) => one.heldOut !== undefined);
  expect(heldOut).toHaveLength(2 * (judged.length + 1));
});

it("lets all candidates of a stretch meet the same arrivals", async () => {
  const seeds = new Map<string, Set<string>>();
  await run({
    fly: async (wish) => {
      const key = JSON.stringify(wish.span);
      const own = seeds.get(key) ?? new Set();
      seeds.set(key, own.add(`${JSON.stringify(wish.settings)}/${wish.seed}`));
      return figuresOf(wish);
    },
  });
  for (const [key, flights] of seeds) {
    const bySettings = Map.groupBy(flights, (flight) => flight.slice(0, flight.lastIndexOf("/")));
    const all = [...bySettings.values()].map((own) =>
      own
        .map((flight) => flight.slice(flight.lastIndexOf("/")))
        .sort()
        .join(),
    );
    expect([key, new Set(all).size]).toEqual([key, 1]);
  }
});

it("finds the same, whatever the number of threads and the order of the answers", async () => {
  const wanted = await run({ jobCount: 1 });
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.integer({ min: 1, max: 20 }),
      async (scheduler, jobCount) => {
        const running = run({
          jobCount,
          fly: async (wish) => await scheduler.schedule(Promise.resolve(figuresOf(wish))),
        });
        await scheduler.waitFor(running);
        expect(await running).toEqual(wanted);
      },
    ),
    { numRuns: 15 },
  );
});

it("flies as many at a time as it may, and no more", async () => {
  let [now, most] = [0, 0];
  await run({
    jobCount: 3,
    fly: async (wish) => {
      now += 1;
      most = Math.max(most, now);
      await Promise.resolve();
      now -= 1;
      return figuresOf(wish);
    },
  });
  expect(most).toBe(3);
});

it("keeps within its flights, and says how far it is", async () => {
  const seen: TuneProgress[] = [];
  const { flown } = await run({ onProgress: (progress) => seen.push(progress) });
  expect(flown).toBeLessThanOrEqual(60);
  expect(seen).toHaveLength(flown);
  expect(seen.at(-1)).toMatchObject({ flown, rung: windows.rungs.length + 1 });
  expect(seen.map((one) => one.flown)).toEqual(Array.from({ length: flown }, (_, at) => at + 1));
  expect(seen.at(-1)?.flownMs).toBe(seen.at(-1)?.plannedMs);
  const values = seen.flatMap(({ best }) => best?.train.value ?? []);
  expect(values).toEqual(values.toSorted((left, right) => right - left));
});

describe("the verdict", () => {
  const worse = (figures: Figures): Figures => ({ ...figures, cost: (figures["cost"] ?? 0) + 100 });
  const isBase = ({ settings }: FlightWish): boolean => Object.keys(settings).length === 0;
  const isHeldOut = ({ span }: FlightWish): boolean => span.fromMs >= windows.heldOut.span.fromMs;

  it.each<[string, (wish: FlightWish) => boolean]>([
    ["better", () => false],
    ["overfit", (wish) => isHeldOut(wish) && !isBase(wish)],
    ["none", (wish) => !isBase(wish)],
  ])("is %s", async (verdict, isWorse) => {
    const outcome = await run({
      fly: async (wish) => (isWorse(wish) ? worse(figuresOf(wish)) : figuresOf(wish)),
    });
    expect(verdictOf(outcome)).toBe(verdict);
    const study = studyOf(outcome, { world: "test", objective: objective.text, windows });
    expect(study.winner === "base policy").toBe(verdict !== "better");
    expect(study.candidates.some(({ name }) => name === study.winner)).toBe(true);
  });
});

it("stops at once when it is told to, and when a flight fails", async () => {
  const stopping = new AbortController();
  let flights = 0;
  const fly = async (wish: FlightWish): Promise<Figures> => {
    flights += 1;
    if (flights === 10) stopping.abort(new Error("enough"));
    return figuresOf(wish);
  };
  await expect(run({ fly, signal: stopping.signal })).rejects.toThrow("enough");
  expect(flights).toBeLessThan(20);
  await expect(run({ signal: AbortSignal.abort(new Error("before")) })).rejects.toThrow("before");
  flights = 0;
  const failing = async (wish: FlightWish): Promise<Figures> => {
    flights += 1;
    if (flights >= 8) throw new Error("boom");
    return figuresOf(wish);
  };
  await expect(run({ fly: failing })).rejects.toThrow(
    /the flight of candidate \d+ \(buffers\.quantile=[\d.]+,churnUsd=[\d.]+\), seed 1 failed: boom/,
  );
  expect(flights).toBeLessThan(20);
});

it("says when the objective has nothing to read in this world", async () => {
  const fly = async (): Promise<Figures> => ({ cost: 1 });
  await expect(run({ fly })).rejects.toThrow(/training stretch: there is no waitP99Ms to read/);
});
