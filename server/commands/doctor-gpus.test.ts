import { expect, test } from "vitest";
import { gpuFindingOf } from "./doctor-gpus.ts";

const H100 = ["NVIDIA H100 80GB HBM3, 81559 MiB"];

test("a machine without cards is told how to pretend some", () => {
  const finding = gpuFindingOf([], undefined);
  expect(finding).toMatchObject({
    state: "absent",
    detail: expect.stringContaining("none") as string,
  });
  expect(finding.mend).toContain("--local-gpus");
});

test("cards that containers can have are good, with the driver and what snapshots hold", () => {
  const finding = gpuFindingOf(H100, { driverVersion: "550.54.15" });
  expect(finding.state).toBe("good");
  expect(finding.detail).toContain("H100");
  expect(finding.detail).toContain("driver 550.54.15, containers have them by nvproxy, and memory");
  expect(finding.mend).toBeUndefined();
});

test("without cuda-checkpoint they are good all the same, and it says what is missing", () => {
  const lost = "cuda-checkpoint is not installed";
  const finding = gpuFindingOf(H100, { driverVersion: "550.54.15", lost });
  expect(finding.state).toBe("good");
  expect(finding.detail).toContain(lost);
});

test("cards that containers cannot have are bad, and it says what to do", () => {
  const fault = "the installed runsc has no nvproxy; scripts/build-runsc.sh builds one that has";
  const finding = gpuFindingOf(H100, { driverVersion: "550.54.15", fault });
  expect(finding).toMatchObject({ state: "bad", mend: fault });
  expect(gpuFindingOf(H100, undefined)).toMatchObject({ state: "bad" });
});
