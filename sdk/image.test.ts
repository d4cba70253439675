import { describe, expect, test } from "vitest";
import { UsageError } from "./errors.ts";
import { Image, isImage } from "./image.ts";
import { IMAGE_STEPS_MAX } from "./protocol/image.ts";
import { Secret } from "./secret.ts";

test("every method gives a new image and leaves the old one as it was", () => {
  const base = Image.debianSlim();
  const one = base.aptInstall("jq");
  const two = one.env({ A: "1" });
  expect(base.recipe.steps).toEqual([]);
  expect(one.recipe.steps).toEqual([{ kind: "apt", packages: ["jq"] }]);
  expect(two.recipe.steps).toHaveLength(2);
  expect(one).not.toBe(base);
});

test("a list may be passed as one or as several arguments", () => {
  const listed = Image.debianSlim().aptInstall(["jq", "git"]);
  expect(listed.recipe).toEqual(Image.debianSlim().aptInstall("jq", "git").recipe);
});

test("variables are copied when they are given", () => {
  const variables = { A: "1" };
  const image = Image.fromScratch().env(variables);
  variables.A = "2";
  expect(image.recipe.steps).toEqual([{ kind: "env", variables: { A: "1" } }]);
});

test("an image of another copy of the library is one", () => {
  const copy: unknown = { recipe: structuredClone(Image.debianSlim().recipe) };
  expect(isImage(copy)).toBe(true);
  for (const other of [undefined, null, "debian", {}, { recipe: 1 }, { recipe: { base: {} } }]) {
    expect(isImage(other)).toBe(false);
  }
});

test("functions travel as their source, whatever their form", () => {
  const forms = [
    () => 1,
    async () => Promise.resolve(1),
    function named() {
      return 1;
    },
    async function () {
      return Promise.resolve(1);
    },
  ];
  for (const form of forms) {
    const [step] = Image.fromScratch().runFunction(form).recipe.steps;
    expect(step).toEqual({ kind: "function", source: form.toString() });
  }
});

describe("mistakes are told where they are written", () => {
  const image = Image.debianSlim();
  const shortForm = (source: string) => Object.assign(() => undefined, { toString: () => source });
  test.each<[string, () => unknown, RegExp]>([
    ["release", () => Image.debianSlim({ release: "bokworm" as never }), /did you mean "bookworm"/],
    ["reference", () => Image.fromRegistry("Python 3"), /is no image of a registry/],
    ["upper case", () => Image.fromRegistry("org/Name"), /is no image of a registry/],
    [
      "a secret with values",
      () => Image.fromRegistry("a", { secret: Secret.fromObject({ REGISTRY_PASSWORD: "x" }) }),
      /must be Secret.fromName/,
    ],
    ["short digest", () => Image.fromRegistry("a@sha256:abc"), /is no image of a registry/],
    ["no package", () => image.aptInstall(), /1 to 256 entries, got 0/],
    ["an option for apt", () => image.aptInstall("-o=x"), /"-o=x", which is no name/],
    ["a command for apt", () => image.aptInstall("jq; rm -rf /"), /no name of a package/],
    ["an option for pip", () => image.pipInstall("--index-url=x"), /no name of a package/],
    ["an option for npm", () => image.npmInstall("--global"), /no name of a package/],
    ["no text", () => image.runCommands(1 as never), /must be a text/],
    ["an empty command", () => image.runCommands(""), /must be a text of 1 to/],
    ["NUL", () => image.runCommands("a\0b"), /without NUL/],
    ["a relative target", () => image.addLocalFile("a", "b"), /begins with "\/"/],
    ["a target above", () => image.addLocalDir("a", "/b/../.."), /has no "\.\."/],
    ["a line break", () => image.workdir("/a\nb"), /path of the image/],
    ["a variable", () => image.env({ "A B": "c" }), /no variable/],
    ["no function", () => image.runFunction("x" as never), /needs a function/],
    ["a native function", () => image.runFunction(Math.random.bind(Math)), /written in the file/],
    ["a method", () => image.runFunction(shortForm("run() {}")), /not a method/],
    ["an async method", () => image.runFunction(shortForm("async later() {}")), /not a method/],
    ["no path", () => Image.fromDockerfile(""), /needs the path/],
  ])("%s", (_, act, message) => {
    expect(act).toThrow(message);
    expect(act).toThrow(UsageError);
  });

  test("more steps than an image may have", () => {
    let full = Image.fromScratch();
    for (let step = 0; step < IMAGE_STEPS_MAX; step += 1) full = full.workdir("/a");
    expect(() => full.workdir("/b")).toThrow(/at most 64 steps/);
  });
});

test.each([
  "python",
  "python:3.12-slim",
  "ghcr.io/org/name:v1",
  "localhost:5000/name",
  "127.0.0.1:41234/a/b:c",
  `name@sha256:${"a".repeat(64)}`,
  `registry.example.com:5000/name:tag@sha256:${"a".repeat(64)}`,
])("%s is an image of a registry", (ref) => {
  expect(Image.fromRegistry(ref).recipe.base).toEqual({ kind: "registry", ref });
  const secret = Secret.fromName("ghcr");
  const base = { kind: "registry", ref, secret: "ghcr" };
  expect(Image.fromRegistry(ref, { secret }).recipe.base).toEqual(base);
});

test("an image is found by its whole id, which it has until something is added to it", () => {
  const imageId = "0a".repeat(32);
  const image = Image.fromId(imageId);
  expect(image.recipe).toEqual({ base: { kind: "image", imageId }, steps: [] });
  expect([image.imageId, image.env({ A: "1" }).imageId]).toEqual([imageId, undefined]);
  for (const wrong of ["", "0a0a", "../x".repeat(16), `${imageId}0`]) {
    expect(() => Image.fromId(wrong)).toThrow(UsageError);
  }
});
