import { expect, test } from "vitest";
import type { ImageStep } from "../../../sdk/protocol/index.ts";
import { planLayers, type PlanInputs } from "./layer-plan.ts";

const INPUTS: PlanInputs = {
  base: {
    identity: ["debian", "bookworm"],
    words: "Debian",
    config: { env: { PATH: "/bin", A: "1" }, workdir: "/" },
  },
  runtime: ["24.0.0", "x64"],
  npm: ["1"],
  indexVariables: { PIP_INDEX_URL: "https://a.example" },
};
const plan = (steps: readonly ImageStep[], inputs: Partial<PlanInputs> = {}) =>
  planLayers({ base: { kind: "scratch" }, steps }, { ...INPUTS, ...inputs });
const keys = (steps: readonly ImageStep[], inputs: Partial<PlanInputs> = {}) =>
  plan(steps, inputs).layers.map(({ key }) => key);

const apt: ImageStep = { kind: "apt", packages: ["jq"] };
const pip: ImageStep = { kind: "pip", packages: ["six"] };
const npm: ImageStep = { kind: "npm", packages: ["ms"] };
const run: ImageStep = { kind: "run", commands: ["true"] };
const files: ImageStep = { kind: "files", target: "/a", archives: ["0"] };
const env: ImageStep = { kind: "env", variables: { B: "2" } };

test("every image is its base, the platform's Node, and a layer for each step that changes files", () => {
  const { layers, config } = plan([apt, env, files, { kind: "workdir", path: "/srv" }, run]);
  expect(layers.map(({ task }) => task.kind)).toEqual([
    "base",
    "runtime",
    "run",
    "files",
    "folder",
    "run",
  ]);
  expect(layers.at(-1)).toMatchObject({ workdir: "/srv", env: { A: "1", B: "2" } });
  expect(layers[2]?.env["B"]).toBeUndefined();
  expect(config.env["PATH"]).toBe("/bin:/opt/flotilla/bin:/node_modules/.bin");
});

test("npm comes once, before the first step that needs it", () => {
  const kinds = plan([apt, npm, npm]).layers.map(({ words }) => words);
  expect(kinds).toEqual([
    "Debian",
    "the platform's Node",
    "aptInstall jq",
    "npm",
    "npmInstall ms",
    "npmInstall ms",
  ]);
});

test("equal beginnings have equal keys, and a change makes new ones from there on", () => {
  const one = keys([apt, pip, run]);
  expect(keys([apt, pip, run])).toEqual(one);
  const other = keys([apt, { kind: "pip", packages: ["six", "attrs"] }, run]);
  expect(other.slice(0, 3)).toEqual(one.slice(0, 3));
  expect(other[3]).not.toBe(one[3]);
  expect(other[4]).not.toBe(one[4]);
  expect(new Set([...one, ...other]).size).toBe(7);
});

test.each<[string, readonly ImageStep[], Partial<PlanInputs>, number]>([
  ["the base", [run], { base: { ...INPUTS.base, identity: ["debian", "trixie"] } }, 0],
  ["the platform's Node", [run], { runtime: ["24.0.1", "x64"] }, 1],
  ["the index of pip", [pip], { indexVariables: {} }, 2],
  ["the archive of a file", [{ ...files, archives: ["1"] }], {}, 2],
  ["where files go", [{ ...files, target: "/b" }], {}, 2],
  ["a variable before it", [{ kind: "env", variables: { B: "3" } }, run], {}, 2],
])("%s decides the key of its layer", (_, steps, inputs, at) => {
  const before = keys(
    steps.map((step) => (step.kind === "files" ? files : step.kind === "env" ? env : step)),
  );
  const after = keys(steps, inputs);
  expect(after.slice(0, at)).toEqual(before.slice(0, at));
  expect(after[at]).not.toBe(before[at]);
});

test("the index of pip has nothing to do with what apt installs and what is copied", () => {
  expect(keys([apt, files], { indexVariables: {} })).toEqual(keys([apt, files]));
});

test("variables and the folder are part of what an image is, their order is not", () => {
  const ids = [
    plan([]).imageId,
    plan([env]).imageId,
    plan([{ kind: "env", variables: { B: "3" } }]).imageId,
    plan([{ kind: "workdir", path: "/" }]).imageId,
  ];
  expect(new Set(ids).size).toBe(4);
  const forth = plan([{ kind: "env", variables: { X: "1", Y: "2" } }, run]);
  const back = plan([{ kind: "env", variables: { Y: "2", X: "1" } }, run]);
  expect(back.imageId).toBe(forth.imageId);
});

test("an image that begins with another has its layers, and adds nothing of its own accord", () => {
  const first = plan([apt, npm, env]);
  const base = { identity: ["image"], words: "an image", config: first.config };
  const inputs = { base: { ...base, layers: first.layers } };
  expect(plan([], inputs).imageId).toBe(first.imageId);
  const above = plan([npm, files], inputs);
  expect(above.layers.map(({ key }) => key)).toEqual(keys([apt, npm, env, npm, files]));
  expect(above.layers.map(({ task }) => task.kind).slice(-3)).toEqual(["built", "run", "files"]);
});
