import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import {
  FIGURE_NAMES,
  figuresOf,
  flyOne,
  readObjective,
  readWorld,
  searchWindows,
  SIMULATED_POLICY,
  sizeOfSearch,
  tune,
  type RunSpec,
  type TuneOptions,
} from "../../../simulations/index.ts";
import { checkPolicy, parsePolicy } from "../../policy/parse-policy.ts";
import type { CrewTask } from "../simulate/crew.ts";
import { RunStore } from "../simulate/run-store.ts";
import { basePolicyContent, parametersOf, simulatedPolicyContent } from "./base-policy.ts";
import { flightsOf, isPolicy } from "./flights.ts";
import { chosenOf, type Found } from "./found.ts";
import { tuneRequestOf, type TuneCommandOptions } from "./options.ts";
import { TuneShow } from "./progress.ts";
import { registerTune } from "./register.ts";
import { tuneDocument } from "./tune-document.ts";
import { tuneText } from "./tune-text.ts";
import { commandText, winnerFile } from "./winner-file.ts";

let dir = "";
let found: Found;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tune-"));
  const rows = Array.from({ length: 24 }, (_, at) => `${at * 600},chat,${1 + (at % 6) / 4}`);
  await writeFile(join(dir, "demand.csv"), `time_s,function,rate_rps\n${rows.join("\n")}\n`);
  found = await searched();
});
afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

const PARAMS = "buffers.quantile=0.3..0.999,pool.idleReleaseSeconds=30..600:log";

function specOf(): RunSpec {
  return {
    trace: { file: join(dir, "demand.csv"), format: "csv" },
    controlMs: 60_000,
    serviceMeanMs: 4_000,
  };
}

/** Flies in this thread, as the threads of a crew do, and counts. */
class HereCrew {
  flown = 0;

  async fly(tasks: readonly CrewTask[]) {
    return await Promise.all(
      tasks.map(async ({ spec, order }) => {
        this.flown += 1;
        return await flyOne(spec, order);
      }),
    );
  }
}

async function searched(
  over: Partial<TuneOptions> & { store?: RunStore; crew?: HereCrew } = {},
): Promise<Found> {
  const { store, crew = new HereCrew(), ...rest } = over;
  const spec = specOf();
  const world = readWorld(spec);
  const parameters = parametersOf(PARAMS, world);
  const base = basePolicyContent(undefined);
  const windows = searchWindows(world.trace, { trainFraction: 0.5, seedCount: 2 });
  const objective = readObjective("cost + 0.0002*waitP99Ms", FIGURE_NAMES);
  const kept = store === undefined ? {} : { store };
  const outcome = await tune({
    ...{ objective, parameters, windows, seed: 1, jobCount: 2 },
    size: sizeOfSearch({ runs: 24, rungCount: windows.rungs.length, seedCount: 2 }),
    isAllowed: (settings) => isPolicy(settings, { base, parameters }),
    fly: flightsOf({ spec, base, parameters, crew, ...kept }),
    ...rest,
  });
  return {
    ...{ outcome, parameters, windows, base },
    world: world.name,
    objective: objective.text,
    searchSeed: 1,
    commit: "abc",
    fromHours: 0,
    command: commandText(["tune", "--trace", "a b.csv", "--format=csv", "--seeds", "2", "--json"]),
  };
}

it("says the policy of simulations as a file would", () => {
  expect(checkPolicy(simulatedPolicyContent(), "base")).toEqual(SIMULATED_POLICY);
});

it("writes a policy that server/policy reads, and that flies to the figures above it", async () => {
  const text = winnerFile(found, "policy.yaml");
  const { policy } = parsePolicy(text, "policy.yaml");
  const chosen = chosenOf(found);
  expect(chosen.id).toBeGreaterThan(0);
  expect(policy.optimizer.buffers.quantileMax).toBe(chosen.settings["buffers.quantile"]);
  for (const [stretch, judgement] of [
    [found.windows.train, chosen.train],
    [found.windows.heldOut, chosen.heldOut],
  ] as const) {
    const flights = await Promise.all(
      stretch.seeds.map(async (seed) => {
        const order = { policyName: "flotilla", seed, span: stretch.span };
        return figuresOf(await flyOne({ ...specOf(), policy }, order));
      }),
    );
    expect(flights).toEqual(judgement.flights);
  }
});

it("says above the policy what it was chosen by and how to fly it again", async () => {
  const text = winnerFile(found, "my policy.yaml");
  expect(text).toMatch(
    /^# Chosen by flotilla tune at commit abc\.\n# Verdict: candidate \d+ is better/,
  );
  expect(text).toContain("# Objective, smaller is better: cost + 0.0002*waitP99Ms\n");
  expect(text).toMatch(
    /#\s+hours 0–2, seeds 1, 2:\n#\s+this policy [\d.]+ \([\d.]+–[\d.]+\); base policy [\d.]+/,
  );
  expect(text).toMatch(/#\s+hours 2–4, seeds 3, 4:/);
  expect(text).toContain("#   flotilla tune --trace 'a b.csv' --format=csv --seeds 2 --json\n");
  expect(text).toContain(
    "#   flotilla simulate --trace 'a b.csv' --format=csv --policy 'my policy.yaml' " +
      "--from 2 --hours 2 --seeds 4 --baseline none\n",
  );
});

it("lets no text out of its comment", async () => {
  const text = winnerFile(
    { ...found, world: "x\noptimizer: {}\u001b[31m", objective: "cost\r\n#" },
    "p",
  );
  const content = parse(text) as object;
  expect(Object.keys(content)).toEqual(["optimizer", "pool"]);
  expect(text).not.toContain("\u001b");
  expect(text.split("\n").filter((line) => line.startsWith("optimizer"))).toHaveLength(1);
});

it("goes on from what is kept, and finds what it would have found", async () => {
  const store = await RunStore.open(join(dir, "state"), "basis");
  const stopping = new AbortController();
  const first = new HereCrew();
  const interrupted = searched({
    ...{ store, crew: first, signal: stopping.signal },
    onProgress: ({ flown }) => {
      if (flown === 9) stopping.abort(new Error("stopped"));
    },
  });
  await expect(interrupted).rejects.toThrow("stopped");
  const keptCount = (await readdir(join(dir, "state", "runs"))).length;
  expect(keptCount).toBeGreaterThanOrEqual(9);
  const second = new HereCrew();
  const resumed = await searched({ store, crew: second });
  expect(resumed.outcome).toEqual(found.outcome);
  expect(second.flown).toBeLessThanOrEqual(found.outcome.flown - 9);
  const third = new HereCrew();
  await searched({
    store,
    crew: third,
    objective: readObjective("costOverB60", FIGURE_NAMES),
    size: {
      brackets: [1],
      finalistCount: 1,
      runs: 8,
    },
  });
  expect(third.flown).toBeLessThanOrEqual(2);
});

it("tells of what was found in text and as a document", async () => {
  const text = tuneText(found);
  expect(text).toMatch(/Candidate \d+ is better than the base policy, held out too\./);
  expect(text).toMatch(/cost, USD\/h +[\d.]+ \(/);
  expect(text).toMatch(/ON THE FRONT/);
  const document = tuneDocument(found, "policy.yaml");
  expect(document).toMatchObject({ version: 1, verdict: "better", policyFile: "policy.yaml" });
  expect(document.candidates[0]?.name).toBe("base policy");
  expect(document.candidates.map(({ name }) => name)).toContain(document.chosen);
  expect(JSON.parse(JSON.stringify(document))).toEqual(document);
});

it("refuses settings that contradict each other", () => {
  const world = readWorld(specOf());
  const parameters = parametersOf("buffers.quantileMin=0..1,buffers.quantileMax=0..1", world);
  const of = (low: number, high: number): boolean =>
    isPolicy({ "buffers.quantileMin": low, "buffers.quantileMax": high }, { base: {}, parameters });
  expect([of(0.2, 0.9), of(0.9, 0.2)]).toEqual([true, false]);
});

it("knows the GPU types of the world for a wildcard", () => {
  const [parameter] = parametersOf("buffers.byGpuType.*.gpuCountMin=0..9", readWorld(specOf()));
  expect(parameter?.places).toEqual([["optimizer", "buffers", "byGpuType", "H100", "gpuCountMin"]]);
});

test("the options of simulate that say what the world is are those of tune", () => {
  const program = new Command();
  registerTune(program);
  const names = program.commands[0]?.options.map(({ long }) => long) ?? [];
  expect(names).toEqual(
    expect.arrayContaining(["--trace", "--scenario", "--spot", "--gpu", "--cv"]),
  );
  expect(new Set(names).size).toBe(names.length);
  expect(names).not.toContain("--baseline");
});

describe("options", () => {
  const trace = { trace: "demand.csv", format: "csv" };

  it("have defaults that make a search", () => {
    const request = tuneRequestOf(trace);
    expect(request).toMatchObject({ runs: 100, seedCount: 2, trainFraction: 0.5, searchSeed: 1 });
    expect(request.objective.text).toBe("cost + 0.002*waitP99Ms");
    const world = readWorld(specOf());
    expect(parametersOf(request.params, world)).toHaveLength(4);
  });

  it.each<[TuneCommandOptions, RegExp]>([
    [{}, /needs a scenario or a trace/],
    [{ ...trace, budgetRuns: "0" }, /--budget-runs takes a whole number from 1/],
    [{ ...trace, budgetRuns: "many" }, /--budget-runs takes a whole number/],
    [{ ...trace, seeds: "-1" }, /--seeds takes a whole number/],
    [{ ...trace, jobs: "0" }, /--jobs takes a whole number/],
    [{ ...trace, trainShare: "1" }, /--train-share takes a number between 0 and 1, not 1/],
    [{ ...trace, trainShare: ".0" }, /--train-share/],
    [{ ...trace, rungs: "4" }, /--rungs takes a whole number from 1 to 3/],
    [{ ...trace, searchSeed: "x" }, /--search-seed takes/],
    [{ ...trace, objective: "cots" }, /did you mean cost\?/],
    [{ ...trace, policy: "a.yaml", out: "./a.yaml" }, /would replace the policy that is tuned/],
  ])("%o are refused", (options, expected) => {
    expect(() => tuneRequestOf(options)).toThrow(expected);
  });
});

describe("progress", () => {
  const progress = {
    flown: 5,
    runs: 20,
    flownMs: 50,
    plannedMs: 200,
    rung: 1,
    rungCount: 2,
    candidates: 3,
  };
  const best = {
    id: 3,
    settings: { x: 0.5 },
    train: { value: 9, values: [9], flights: [] },
  };

  function shown(isLive: boolean, widthColumns = 200): string {
    let text = "";
    let nowMs = 0;
    const show = new TuneShow(
      { isLive, widthColumns, write: (more) => (text += more) },
      () => nowMs,
    );
    nowMs = 10_000;
    show.show(progress);
    show.show({ ...progress, best, base: { value: 11, values: [11], flights: [] } });
    show.show({ ...progress, best });
    show.close();
    return text;
  }

  it("is a line now and then in a log, and each better candidate once", () => {
    expect(shown(false)).toBe(
      "   25 %, 5 of 20 flights, 3 candidates, up to rung 1 of 2, 30 s left\n" +
        "• best so far: candidate 3 with 9 (base policy 11): x=0.5\n",
    );
  });

  it("is redrawn in place on a terminal, and no wider than that", () => {
    const text = shown(true, 60);
    expect(text).toContain("█████░░░░░░░░░░░░░░░  25 %");
    expect(text.endsWith("\u001b[1A\r\u001b[J")).toBe(true);
    const lines = text.replaceAll("\u001b[1A\r\u001b[J", "").split("\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(60);
  });
});
