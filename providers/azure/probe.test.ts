import { afterEach, beforeEach, expect, it } from "vitest";
import { assert } from "../../core/index.ts";
import type { Fault } from "../emulators/arm/index.ts";
import { isProbing } from "../provider.ts";
import { openAzureBench } from "./test-bench.ts";

let bench: Awaited<ReturnType<typeof openAzureBench>>;
beforeEach(async () => {
  bench = await openAzureBench();
});
afterEach(() => bench.close());

const probe = () => {
  assert(isProbing(bench.provider), "the Azure provider can be probed");
  return bench.provider.probe();
};
const strike = (action: string, effect: Fault["effect"]) =>
  bench.emulator.injectFault({ action, when: "before", effect, fraction: 1 });

it("finds every right that renting takes, and makes nothing", async () => {
  const findings = await probe();
  expect(findings).toHaveLength(6);
  expect(findings.filter(({ isGood }) => !isGood)).toEqual([]);
  expect(findings[0]?.step).toBe(
    "Microsoft.Compute/virtualMachines/write (by a create that Azure cannot carry out)",
  );
  expect(bench.emulator.machines()).toEqual([]);
  expect(bench.emulator.resources()).toEqual([]);
});

it("names each right that is missing, in Azure's words, and what could not be asked", async () => {
  strike("VirtualMachines.CreateOrUpdate", {
    kind: "error",
    code: "AuthorizationFailed",
    status: 403,
  });
  strike("Usage.List", { kind: "reset" });
  const bad = (await probe()).filter(({ isGood }) => !isGood);
  expect(bad.map(({ step }) => step.split(" ")[0])).toEqual([
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/locations/usages/read",
    "Microsoft.Compute/locations/usages/read",
  ]);
  expect(bad[0]?.detail).toContain("AuthorizationFailed");
});
