import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ImageDefinition } from "../../sdk/protocol/index.ts";
import { imageDefinitionSchema } from "./definition-schema.ts";

const definition: ImageDefinition = {
  version: 1,
  base: { kind: "debian", release: "bookworm" },
  steps: [
    {
      kind: "apt",
      packages: ["jq", "git=1:2.39.5-0+deb12u2", "libc6:arm64", "xz-utils/bookworm-updates"],
    },
    { kind: "pip", packages: ["numpy==2.1.0", "six>=1,<2", "a[b] @ https://x.example/y.whl"] },
    { kind: "npm", packages: ["@scope/name@^1.0.0", "ms"] },
    { kind: "run", commands: ["echo 'a' && true"] },
    { kind: "files", target: "/srv", archives: ["a".repeat(64)] },
    { kind: "env", variables: { A: "" } },
    { kind: "workdir", path: "/srv" },
    { kind: "function", source: "() => 1" },
    { kind: "run", commands: ["x"], shell: ["/bin/bash", "-c"], env: { A: "1" }, user: "a:0" },
    { kind: "files", target: "/", archives: ["a".repeat(64)], owner: "1:2", mode: 0o755 },
    { kind: "copy", stage: 0, sources: ["/a/*", "b"], target: "/c/", owner: "ann" },
  ],
  stages: [{ base: { kind: "scratch" }, steps: [] }],
};
const copy = { kind: "copy", stage: 0, sources: ["a"], target: "/" };

test("what the SDK writes is taken as it is", () => {
  expect(imageDefinitionSchema.parse(definition)).toEqual(definition);
});

describe("all else is refused by the name of its field", () => {
  const step = (value: object) => ({ ...definition, steps: [value] });
  test.each<[string, unknown, RegExp]>([
    ["a newer version", { ...definition, version: 2 }, /images of version 1/],
    ["no steps", { ...definition, steps: undefined }, /steps/],
    [
      "too many steps",
      { ...definition, steps: Array.from({ length: 65 }, () => definition.steps[0]) },
      /steps/,
    ],
    ["an unknown field", { ...definition, extra: 1 }, /extra/],
    ["an unknown base", { ...definition, base: { kind: "ubuntu" } }, /base/],
    ["an unknown step", step({ kind: "sudo" }), /steps/],
    ["an option for apt", step({ kind: "apt", packages: ["-oDebug=1"] }), /no Debian package/],
    ["a command for apt", step({ kind: "apt", packages: ["jq;true"] }), /no Debian package/],
    ["an option for pip", step({ kind: "pip", packages: ["--index-url=x"] }), /no Python package/],
    ["an option for npm", step({ kind: "npm", packages: ["--global"] }), /no npm package/],
    ["a relative target", step({ kind: "files", target: "a", archives: [] }), /begins with/],
    ["a target above", step({ kind: "workdir", path: "/a/../../b" }), /\.\./],
    ["a hash that is a path", step({ kind: "files", target: "/", archives: ["../x"] }), /archives/],
    ["a variable with a space", step({ kind: "env", variables: { "A B": "c" } }), /variables/],
    ["NUL in a command", step({ kind: "run", commands: ["a\0b"] }), /NUL/],
    ["a long command", step({ kind: "run", commands: ["x".repeat(70_000)] }), /commands/],
    ["a copy of itself", { ...definition, stages: undefined }, /stages|not before it/],
    ["a copy of no stage", step({ ...copy, stage: 1 }), /copies from a stage that is not before/],
    [
      "a stage that copies of itself",
      { ...definition, stages: [{ base: definition.base, steps: [copy] }] },
      /copies from a stage that is not before/,
    ],
    ["a source above", step({ ...copy, sources: ["a/../../b"] }), /\.\./],
    ["an owner that is an option", step({ ...copy, owner: "--help" }), /user/],
    ["a mode that is none", step({ ...copy, mode: 0o10000 }), /mode/],
    ["a user that is a command", step({ kind: "run", commands: ["x"], user: "a;b" }), /user/],
    ["no object", [], /object/],
  ])("%s", (_, value, message) => {
    const { error } = imageDefinitionSchema.safeParse(value);
    const issues = error?.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`) ?? [];
    expect(issues.join("\n")).toMatch(message);
  });

  test("whatever is sent is taken or refused, and never breaks", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        imageDefinitionSchema.safeParse(value);
        imageDefinitionSchema.safeParse({ ...definition, steps: [value], base: value });
      }),
    );
  });
});
