import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PlatformError } from "../../../core/index.ts";
import { readDemand } from "./demand-file.ts";

const CLASS = { id: "chat", gpu: ["H100"], gpuCount: 1, cpu: 8, memoryMiB: 1024 };
const SCENARIO = { id: "now", probability: 1, quantity: { chat: 3 } };

function refusalOf(demand: unknown): string {
  try {
    readDemand(typeof demand === "string" ? demand : JSON.stringify(demand, null, 2), "d.json");
  } catch (error) {
    expect(error).toBeInstanceOf(PlatformError);
    return (error as PlatformError).message;
  }
  throw new Error("not refused");
}

describe("readDemand", () => {
  it("takes classes and scenarios in the words of the optimizer", () => {
    const demand = {
      horizonHours: 0.5,
      classes: [
        { ...CLASS, preemptible: true, regions: ["a"], clouds: ["aws"], unmetUsdPerHour: 12.5 },
        { id: "cpu", cpu: 0.5, memoryMiB: 512, home: { regions: ["a"], gibPerHour: 3 } },
        { id: "part", gpu: ["L4", "T4"], gpuCount: 0.25, cpu: 1, memoryMiB: 1 },
      ],
      scenarios: [
        { id: "calm", probability: 0.7, quantity: { chat: 3 } },
        { id: "peak", probability: 0.3, quantity: { chat: 1_000_000_000, cpu: 0 } },
      ],
    };
    expect(readDemand(JSON.stringify(demand), "d.json")).toEqual({
      horizonMs: 1_800_000,
      classes: [
        {
          classId: "chat",
          needs: {
            gpu: { types: ["H100"], count: 1 },
            cpuMilli: 8_000,
            memoryMiB: 1_024,
            regions: ["a"],
            clouds: ["aws"],
            preemptible: true,
          },
          unmetMicroUsdPerHour: 12_500_000,
        },
        {
          classId: "cpu",
          needs: { cpuMilli: 500, memoryMiB: 512, preemptible: false },
          home: { regions: ["a"], gibPerHour: 3 },
        },
        {
          classId: "part",
          needs: {
            gpu: { types: ["L4", "T4"], count: 0.25 },
            cpuMilli: 1_000,
            memoryMiB: 1,
            preemptible: false,
          },
        },
      ],
      scenarios: [
        { scenarioId: "calm", probability: 0.7, quantity: { chat: 3 } },
        { scenarioId: "peak", probability: 0.3, quantity: { chat: 1_000_000_000, cpu: 0 } },
      ],
    });
  });

  it("reads tabs, as many editors write JSON with", () => {
    const text = JSON.stringify({ classes: [CLASS], scenarios: [SCENARIO] }, null, "\t");
    expect(readDemand(text, "d.json").classes).toHaveLength(1);
  });

  it.each([
    ["an unknown GPU", { ...CLASS, gpu: ["H10O"] }, "classes[0].gpu[0]: takes one of T4,"],
    ["a GPU twice", { ...CLASS, gpu: ["L4", "L4"] }, "classes[0].gpu: names a type twice"],
    ["1.5 GPUs", { ...CLASS, gpuCount: 1.5 }, "classes[0].gpuCount: takes a fraction below 1"],
    ["9 GPUs", { ...CLASS, gpuCount: 9 }, "takes a number above 0, at most 8, not 9"],
    ["no GPUs", { ...CLASS, gpuCount: 0 }, "takes a number above 0, at most 8, not 0"],
    ["a GPU without a count", { ...CLASS, gpuCount: undefined }, "gpuCount: is missing"],
    ["a count without a GPU", { ...CLASS, gpu: [] }, "gpuCount: needs gpu"],
    ["negative memory", { ...CLASS, memoryMiB: -1 }, "memoryMiB: takes a number >= 0, not -1"],
    ["cpu as text", { ...CLASS, cpu: "8" }, 'cpu: takes a number from 0 to 10000, not "8"'],
    ["nothing at all", { id: "chat", cpu: 0, memoryMiB: 0 }, "the class needs nothing"],
    ["a misspelt key", { ...CLASS, gpuCuont: 1 }, "did you mean gpuCount?"],
    ["an id that hides", { ...CLASS, id: "a\u202Eb" }, "takes a text of 1 to 200 printable"],
  ])("refuses a class with %s", (_name, demandClass, expected) => {
    const message = refusalOf({ classes: [demandClass], scenarios: [SCENARIO] });
    expect(message).toMatch(/^d\.json, line \d+, column \d+: |^d\.json has \d+ mistakes/);
    expect(message).toContain(expected);
  });

  it.each([
    ["a probability of 0", { ...SCENARIO, probability: 0 }, "takes a number above 0, at most 1"],
    ["half a container", { ...SCENARIO, quantity: { chat: 0.5 } }, "takes a whole number >= 0"],
    ["fewer than none", { ...SCENARIO, quantity: { chat: -1 } }, "takes a whole number >= 0"],
    [
      "an unknown class",
      { ...SCENARIO, quantity: { caht: 1 } },
      "scenarios[0].quantity.caht: no class has this id (did you mean chat?)",
    ],
  ])("refuses a scenario with %s", (_name, scenario, expected) => {
    expect(refusalOf({ classes: [CLASS], scenarios: [scenario] })).toContain(expected);
  });

  it("refuses probabilities that do not add up, and takes those that do but for rounding", () => {
    const scenarios = (...probabilities: readonly number[]): unknown => ({
      classes: [CLASS],
      scenarios: probabilities.map((probability, id) => ({
        ...SCENARIO,
        id: `s${id}`,
        probability,
      })),
    });
    expect(refusalOf(scenarios(0.5, 0.4))).toContain("scenarios: the probabilities add up to 0.9");
    expect(refusalOf({ classes: [CLASS], scenarios: [] })).toContain("at least one entry");
    const thirds = JSON.stringify(scenarios(1 / 3, 1 / 3, 1 / 3));
    expect(readDemand(thirds, "d.json").scenarios).toHaveLength(3);
  });

  it("refuses ids that are there twice", () => {
    const twice = { classes: [CLASS, CLASS], scenarios: [{ ...SCENARIO, probability: 0.5 }] };
    const message = refusalOf({ ...twice, scenarios: [...twice.scenarios, ...twice.scenarios] });
    expect(message).toContain("classes[1].id: classes[0] has the id chat already");
    expect(message).toContain("scenarios[1].id: scenarios[0] has this id already");
  });

  it("says where a text is no JSON", () => {
    expect(refusalOf('{\n  "classes": [\n')).toMatch(/^d\.json(,| has).*line \d/s);
    expect(refusalOf('{ "classes": [], "classes": [] }')).toContain("Map keys must be unique");
    expect(refusalOf("")).toContain("takes a map of keys to values, not nothing");
  });

  it("reads the example", () => {
    const path = new URL("../../../examples/plans/demand.json", import.meta.url);
    expect(readDemand(readFileSync(path, "utf8"), "demand.json").classes).toHaveLength(3);
  });
});
