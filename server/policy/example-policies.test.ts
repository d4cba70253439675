import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { DEFAULT_POLICY } from "../../core/index.ts";
import { parsePolicy } from "./parse-policy.ts";
import { policyJsonSchema } from "./policy-file.ts";

const FOLDER = new URL("../../examples/policies/", import.meta.url);
const SCHEMA = new URL("../../docs/policy.schema.json", import.meta.url);

const published = JSON.parse(readFileSync(SCHEMA, "utf8")) as Record<string, unknown>;
const files = readdirSync(FOLDER);

test("the published schema is made of the one that checks; write it with scripts/write-policy-schema.ts", () => {
  expect(published).toEqual(policyJsonSchema());
});

test("there is an example for each of the usual aims", () => {
  const names = ["balanced", "cheapest", "eu-only", "low-latency", "single-cloud", "spot-heavy"];
  expect(files).toEqual(expect.arrayContaining(names.map((name) => `${name}.yaml`)));
});

test.each(files)("%s is a policy that differs from the default and says whom it is for", (file) => {
  const text = readFileSync(new URL(file, FOLDER), "utf8");
  expect(parsePolicy(text, file).policy).not.toEqual(DEFAULT_POLICY);
  expect(text).toMatch(
    /^# yaml-language-server: \$schema=\.\.\/\.\.\/docs\/policy\.schema\.json\n/,
  );
  expect(text).toMatch(/\n# For /);
});

test.each(files)("%s keeps to the published JSON schema", (file) => {
  const schema = z.fromJSONSchema(published);
  const content: unknown = parse(readFileSync(new URL(file, FOLDER), "utf8"));
  expect(schema.safeParse(content).error).toBeUndefined();
  expect(schema.safeParse({ optimizer: { solver: "none" } }).success).toBe(false);
});
