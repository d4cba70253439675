import { afterEach, beforeEach, expect, it } from "vitest";
import { assert } from "../../core/index.ts";
import { isProbing, type Provider } from "../provider.ts";
import { PERMISSIONS } from "./probe.ts";
import { openGcpBench, type GcpBench } from "./test-bench.ts";

let bench: GcpBench;
beforeEach(async () => {
  bench = await openGcpBench();
});
afterEach(() => bench.close());

const probe = (provider: Provider = bench.provider) => {
  assert(isProbing(provider), "the Google Cloud provider can be probed");
  return provider.probe();
};

it("finds every permission that renting takes", async () => {
  const findings = await probe();
  expect(findings.map(({ step }) => step.split(" ")[0])).toEqual(PERMISSIONS);
  expect(findings.every(({ isGood }) => isGood)).toBe(true);
  expect(findings[0]?.step).toContain("(by projects.testIamPermissions)");
});

it("names each permission that is not granted, also when none is", async () => {
  bench.emulator.configure({ deniedPermissions: ["compute.instances.create"] });
  expect((await probe()).filter(({ isGood }) => !isGood)).toMatchObject([
    { step: "compute.instances.create (by projects.testIamPermissions)" },
  ]);
  bench.emulator.configure({ deniedPermissions: PERMISSIONS });
  expect((await probe()).some(({ isGood }) => isGood)).toBe(false);
});

it("is one bad finding when the question itself is refused or never arrives", async () => {
  const foreign = await bench.reopen({ projectId: "somebody-elses" });
  expect(await probe(foreign)).toMatchObject([{ isGood: false }]);
  const nowhere = await bench.reopen({ endpoint: "http://127.0.0.1:1" });
  expect(await probe(nowhere)).toMatchObject([{ isGood: false }]);
});
