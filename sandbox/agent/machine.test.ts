import { describe, expect, test } from "vitest";
import { machineResources, parseEmulatedGpus, parseGpuNames } from "./machine.ts";

describe("GPUs as nvidia-smi names them", () => {
  test.each([
    ["Tesla T4", "T4"],
    ["NVIDIA L4", "L4"],
    ["NVIDIA L40S", "L40S"],
    ["NVIDIA A10G", "A10"],
    ["NVIDIA A10", "A10"],
    ["Tesla V100-SXM2-16GB", "V100"],
    ["NVIDIA A100-SXM4-40GB", "A100-40GB"],
    ["NVIDIA A100-PCIE-40GB", "A100-40GB"],
    ["NVIDIA A100-SXM4-80GB", "A100-80GB"],
    ["NVIDIA A100 80GB PCIe", "A100-80GB"],
    ["NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000"],
    ["NVIDIA H100 80GB HBM3", "H100"],
    ["NVIDIA H100 PCIe", "H100"],
    ["NVIDIA H200", "H200"],
    ["NVIDIA B200", "B200"],
    ["NVIDIA B300 SXM6 AC", "B300"],
  ])("%s is a %s", (name, gpuType) => {
    expect(parseGpuNames(`${name}\n${name}\n`)).toEqual({ gpuType, gpuCount: 2 });
  });

  test.each(["NVIDIA RTX A1000", "NVIDIA L40", "NVIDIA A1000G", "NVIDIA GeForce RTX 4090", ""])(
    "%s is none that the platform knows",
    (name) => {
      expect(parseGpuNames(`${name}\n`)).toBeUndefined();
    },
  );

  test("only GPUs of the first one's type are counted", () => {
    expect(parseGpuNames("NVIDIA H100\nTesla T4\nNVIDIA H100\n")).toEqual({
      gpuType: "H100",
      gpuCount: 2,
    });
    expect(parseGpuNames("")).toBeUndefined();
  });
});

describe("emulated GPUs as they are declared", () => {
  test("a type with a count, or one of it", () => {
    expect(parseEmulatedGpus("H100:8")).toEqual({ gpuType: "H100", gpuCount: 8 });
    expect(parseEmulatedGpus("A100-80GB")).toEqual({ gpuType: "A100-80GB", gpuCount: 1 });
  });

  test.each([
    "",
    "H1000",
    "h100:1",
    "H100:0",
    "H100:17",
    "H100:1.5",
    "H100:",
    "H100: 8",
    "H100:0x8",
    "H100:1e1",
    "H100:1:1",
  ])("%j is refused", (declared) => {
    expect(parseEmulatedGpus(declared)).toBeUndefined();
  });
});

test("a machine offers whole cores and leaves memory to itself", () => {
  const { gpuCount, cpuMilli, memoryMiB } = machineResources();
  expect(gpuCount).toBe(0);
  expect(cpuMilli % 1_000).toBe(0);
  expect(Number.isInteger(memoryMiB)).toBe(true);
  expect(memoryMiB).toBeGreaterThan(0);
});
