import { expect, test } from "vitest";
import { gpuEnvironmentOf, librariesOf } from "./gpu-environment.ts";

test("under gVisor the cards given are named by the machine's numbers and counted from 0", () => {
  expect(gpuEnvironmentOf([5, 2], "gvisor")).toEqual({
    NVIDIA_VISIBLE_DEVICES: "5,2",
    CUDA_VISIBLE_DEVICES: "0,1",
    CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    NVIDIA_DRIVER_CAPABILITIES: "compute,utility",
    LD_LIBRARY_PATH: "/runner/nvidia/lib64",
  });
});

test("libraries that the user's code names come before the driver's", () => {
  const gpus = gpuEnvironmentOf([0], "gvisor");
  expect(librariesOf(gpus, "/opt/lib")).toEqual({
    LD_LIBRARY_PATH: "/opt/lib:/runner/nvidia/lib64",
  });
  expect(librariesOf(gpus, undefined)).toEqual({});
  expect(librariesOf(gpuEnvironmentOf([], "gvisor"), "/opt/lib")).toEqual({});
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
