import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requestOf, type SimulateOptions } from "./options.ts";

let data = "";
const at = (path: string): string => join(data, path);
beforeAll(() => {
  data = mkdtempSync(join(tmpdir(), "flotilla-data-"));
  for (const dir of ["servegen", "azure-llm-2023", "spot-traces"]) mkdirSync(at(dir));
  writeFileSync(at("servegen/m-mid_aggregate.csv.gz"), "");
  writeFileSync(at("azure-llm-2023/AzureLLMInferenceTrace_conv.csv"), "");
  for (const zone of "1a 1c 1d 1f 2a 2b".split(" ").map((end) => `us-east-${end}`)) {
    writeFileSync(at(`spot-traces/availability_1-node_aws-02-15-2023_${zone}_v100_1.json.gz`), "");
  }
  for (const zone of ["us-west-2a", "us-west-2b", "us-west-2c"]) {
    writeFileSync(at(`spot-traces/availability_1-node_aws-02-15-2023_${zone}_v100_1.json`), "");
  }
});
afterAll(() => rmSync(data, { recursive: true }));

const SCENARIO = { scenario: "s.yaml" } as const;

test("a scenario alone is flown by our planner, a reactive autoscaler and a static fleet", () => {
  const request = requestOf(SCENARIO);
  expect(request).toMatchObject({
    spec: SCENARIO,
    policies: ["flotilla", "reactive", "static"],
    seeds: [1],
    isJson: false,
  });
  expect(Object.keys(request.spec)).toEqual(["scenario"]);
  expect(request.jobCount).toBeGreaterThanOrEqual(1);
});

test("numbers come in the units of people and go in those of the code", () => {
  const { spec, seeds, jobCount, policies } = requestOf({
    trace: "t.csv",
    format: "csv",
    hours: "1.5",
    scale: "1e-3",
    serviceS: "0.25",
    bootS: "90",
    evictIdle: false,
    seeds: "3",
    jobs: "2",
    baseline: ["none"],
  });
  expect(spec).toEqual({
    trace: { file: "t.csv", format: "csv" },
    hours: 1.5,
    scale: 0.001,
    serviceMeanMs: 250,
    bootMs: 90_000,
    evictsIdle: false,
  });
  expect({ seeds, jobCount, policies }).toEqual({
    seeds: [1, 2, 3],
    jobCount: 2,
    policies: ["flotilla"],
  });
});

test("known names lead to files of the data folder, packed or not", () => {
  const mid = requestOf({ data, trace: "servegen/m-mid", spot: ["v100-2023"] }).spec;
  expect(mid.trace).toEqual({
    file: at("servegen/m-mid_aggregate.csv.gz"),
    format: "servegen",
    name: "servegen/m-mid",
  });
  expect(mid.spot?.kind === "measured" ? mid.spot.files : []).toHaveLength(9);
  expect(requestOf({ data, trace: "azure-llm-2023/conv" }).spec.trace).toMatchObject({
    file: at("azure-llm-2023/AzureLLMInferenceTrace_conv.csv"),
    format: "azure-llm",
  });
  expect(requestOf({ ...SCENARIO, spot: ["calm"] }).spec.spot).toEqual({ kind: "calm" });
});

test.each<[string, SimulateOptions]>([
  ["needs a scenario or a trace", {}],
  ["give --trace", { ...SCENARIO, format: "csv" }],
  ["--trace t.csv needs --format", { trace: "t.csv" }],
  ["not cvs (did you mean csv?)", { trace: "t.csv", format: "cvs" }],
  ["say where the data is", { trace: "servegen/m-mid" }],
  ["is laid out as servegen, not as csv", { trace: "servegen/m-mid", format: "csv" }],
  ["say where the data is", { ...SCENARIO, spot: ["v100-2023"] }],
  ["--spot clam is neither a file nor a known market", { ...SCENARIO, spot: ["clam"] }],
  ["did you mean reactive?", { ...SCENARIO, baseline: ["reactiv"] }],
  ["--seeds takes a whole number from 1", { ...SCENARIO, seeds: "0" }],
  ["--seeds takes a whole number from 1", { ...SCENARIO, seeds: "1.5" }],
  ["--jobs takes a whole number", { ...SCENARIO, jobs: "many" }],
  ["--hours takes a number", { ...SCENARIO, hours: "-1" }],
  ["--gpu takes a GPU type", { ...SCENARIO, gpu: "H1OO" }],
  ["--path takes one of linear, bridge, step", { ...SCENARIO, path: "curve" }],
])("what nobody can fly is refused: %s", (expected, options) => {
  expect(() => requestOf(options)).toThrow(expected);
});

test("a name whose file is not there says where it was looked for", () => {
  expect(() => requestOf({ data, trace: "servegen/m-big" })).toThrow(
    /neither .*m-big_aggregate\.csv nor .*\.gz is there/,
  );
});
