import { expect, test } from "vitest";
import { gpuEnvironmentOf } from "./gpu-environment.ts";

test("under gVisor the cards given are named by the machine's numbers and counted from 0", () => {
  expect(gpuEnvironmentOf([5, 2], "gvisor")).toEqual({
    NVIDIA_VISIBLE_DEVICES: "5,2",
    CUDA_VISIBLE_DEVICES: "0,1",
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
  });
});

test("without isolation CUDA is told the machine's own numbers", () => {
  expect(gpuEnvironmentOf([5, 2], "process")).toMatchObject({ CUDA_VISIBLE_DEVICES: "5,2" });
});

test.each(["gvisor", "process"] as const)(
  "a container without cards sees none (%s)",
  (isolation) => {
    expect(gpuEnvironmentOf([], isolation)).toMatchObject({
      NVIDIA_VISIBLE_DEVICES: "void",
      CUDA_VISIBLE_DEVICES: "",
    });
  },
);
