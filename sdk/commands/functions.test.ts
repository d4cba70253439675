import { expect, test } from "vitest";
import { UsageError } from "../errors.ts";
import type { FunctionInfo } from "../protocol/index.ts";
import { functionLines, functionTable, scalingUpdateOf } from "./functions.ts";

const INFO: FunctionInfo = {
  functionId: "fn_1",
  app: "demo",
  appId: "ap_1",
  name: "square",
  version: 3,
  spec: { gpu: ["H100", "A100-80GB"], maxConcurrentInputs: 8 },
  scaling: {
    minContainers: 2,
    maxContainers: 100,
    bufferContainers: 0,
    scaledownWindowMs: 60_000,
    updated: ["minContainers"],
  },
  backlog: 5,
  containers: 2,
};

test("an update is what was typed and nothing else", () => {
  expect(scalingUpdateOf({ minContainers: "2", scaledownWindowMs: "5000" })).toEqual({
    minContainers: 2,
    scaledownWindowMs: 5_000,
  });
  expect(scalingUpdateOf({ maxContainers: "0" })).toEqual({ maxContainers: 0 });
});

test.each(["", "two", "1.5", "-1", "1e3", "9999999999"])("%j is no number of anything", (text) => {
  const wrong = (): unknown => scalingUpdateOf({ bufferContainers: text });
  expect(wrong).toThrow(UsageError);
  expect(wrong).toThrow(`--buffer-containers must be a whole number, got "${text}"`);
});

test("an update without anything says what there is to give", () => {
  expect(() => scalingUpdateOf({})).toThrow("nothing to update");
});

test("what was updated is marked, in the table and alone", () => {
  const [head = "", row = ""] = functionTable([INFO]).split("\n");
  expect(head).toMatch(/APP +FUNCTION +GPU +MIN +MAX +BUFFER +WINDOW +BACKLOG +CONTAINERS/);
  expect(row).toMatch(/demo +square +H100, A100-80GB +2 \* +100 +0 +60000 ms +5 +2/);
  const lines = functionLines(INFO);
  expect(lines).toContain("min containers     2 *");
  expect(lines).toContain("concurrent inputs  8 at most, 8 aimed at");
  expect(lines).toContain("priority           0");
  const important = { ...INFO, spec: { ...INFO.spec, priority: 7 } };
  expect(functionLines(important)).toContain("priority           7");
  expect(lines).toContain("* updated since it was deployed");
  const { scaling } = INFO;
  expect(functionLines({ ...INFO, scaling: { ...scaling, updated: [] } })).not.toContain("*");
});
