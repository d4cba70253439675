import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { readAzureLlm } from "./azure-llm.ts";
import { repeated, totalOf } from "./reshape.ts";
import { durationMsOf } from "./trace.ts";

const FILE = fileURLToPath(
  new URL(
    "../../../shared/data/azure-llm-2023/AzureLLMInferenceTrace_conv.csv.gz",
    import.meta.url,
  ),
);
const OPTIONS = { name: "azure", functionId: "llm", stepMs: 1_000, windowMs: 2_000 };
const csv = (...rows: readonly string[]): string =>
  ["TIMESTAMP,ContextTokens,GeneratedTokens", ...rows, ""].join("\n");
const at = (second: string, tokens = "100,10"): string => `2023-11-16 18:15:${second},${tokens}`;

test("requests are counted by step from the first one on, up to the last whole window", () => {
  const text = csv(at("46.5"), at("47.4000001"), at("47.5"), at("49.5000000"), at("50.1"));
  const { trace, serviceMs, service } = readAzureLlm(text, "a.csv", OPTIONS);
  expect([...(trace.series[0]?.perSecond ?? [])]).toEqual([2, 1]);
  expect(serviceMs[0]).toBeCloseTo(20 + 0.25 * 100 + 40 * 10, 9);
  expect(service.sigma).toBeCloseTo(0, 9);
});

test("the rule from tokens to time may be given", () => {
  const times = { msPerContextToken: 1, msPerGeneratedToken: 2, fixedMs: 3 };
  const text = csv(at("40", "5,7"), at("50", "0,0"));
  const { serviceMs } = readAzureLlm(text, "a.csv", { ...OPTIONS, times });
  expect([...serviceMs]).toEqual([3 + 5 + 14, 3]);
});

test.each([
  ["", "a.csv, line 1: the file is empty"],
  ["TIMESTAMP,Context\n", "ContextTokens is missing"],
  [csv(), "a.csv, line 1: there are 0 requests over less than one window of 2 s"],
  [csv(at("40")), "there are 1 requests over less than one window of 2 s"],
  [csv(at("40"), at("39")), "a.csv, line 3: TIMESTAMP is before that of the row above: sort"],
  [csv("yesterday,1,1"), "a.csv, line 2: TIMESTAMP must look like"],
  [csv("2023-13-16 18:15:46,1,1"), "a.csv, line 2: TIMESTAMP must look like"],
  [csv(at("40", "x,1")), 'a.csv, line 2: ContextTokens must be a number >= 0, not "x"'],
  [csv(at("40", "1,-1")), 'a.csv, line 2: GeneratedTokens must be a number >= 0, not "-1"'],
])("refuses %j", (text, message) => {
  expect(() => readAzureLlm(text, "a.csv", OPTIONS)).toThrow(message);
});

const hasFile = existsSync(FILE);
if (!hasFile) process.stderr.write(`SKIPPED: the public trace is not at ${FILE}\n`);
test.skipIf(!hasFile)(`the hour of conversations is as published (skipped without ${FILE})`, () => {
  const text = gunzipSync(readFileSync(FILE)).toString("utf8");
  const options = { ...OPTIONS, stepMs: 10_000, windowMs: 60_000 };
  const { trace, serviceMs, service } = readAzureLlm(text, "conv", options);
  expect(serviceMs.length).toBe(19_366);
  expect(durationMsOf(trace)).toBe(58 * 60_000);
  const rates = totalOf(trace.series);
  expect(rates.reduce((sum, rate) => sum + rate, 0) / rates.length).toBeCloseTo(5.53, 1);
  expect(service.meanMs).toBeGreaterThan(8_000);
  expect(service.meanMs).toBeLessThan(10_000);
  expect(durationMsOf(repeated(trace, 6 * 3_600_000))).toBe(6 * 3_600_000);
});
