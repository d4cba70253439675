import { describe, expect, test } from "vitest";
import type { Clock } from "../../../core/index.ts";
import { parseDiagnostic } from "./diagnostic.ts";
import { isSlowedByHardware, parseGpuReadings } from "./gpu-readings.ts";
import { HealthWatch, DIAGNOSE_EVERY_MS } from "./health-watch.ts";
import { judge, type GpuState } from "./judge.ts";
import { parseXids } from "./kernel-log.ts";

const TWO_H100 = [
  "0, 550.127.05, 81559, 34, 345, 0x0000000000000001, 0",
  "1, 550.127.05, 81559, 36, 1980, 0x0000000000000004, 0",
  "",
].join("\n");
const T4_WITHOUT_ECC = "0, 535.183.01, 15360, 41, 300, 0x0000000000000001, [N/A]\n";
const LOST = [
  "0, 550.127.05, 81559, 34, 345, 0x0000000000000001, 0",
  "1, 550.127.05, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]",
].join("\n");

const DMESG = [
  "[    0.000000] Linux version 6.1.0-18-cloud-amd64",
  "[   12.345678] nvidia-nvlink: Nvlink Core is being initialized, major device number 238",
  "[ 8123.001234] NVRM: Xid (PCI:0000:3b:00): 31, pid=4242, name=python, Ch 00000008, intr 10",
  "[ 9000.500000] NVRM: Xid (PCI:0000:c6:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
  "[ 9000.500001] NVRM: Xid (PCI:0000:c6:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
].join("\n");

const DCGM_3 = `Successfully ran diagnostic for group.
${JSON.stringify({
  "DCGM GPU Diagnostic": {
    version: "3.3.5",
    test_categories: [
      {
        category: "Deployment",
        tests: [
          { name: "Denylist", results: [{ gpu_ids: "0,1", status: "Pass" }] },
          {
            name: "Page Retirement/Row Remap",
            results: [
              { gpu_ids: "0", status: "Pass" },
              { gpu_ids: "1", status: "Fail", warnings: "A row remap is pending." },
            ],
          },
        ],
      },
    ],
  },
})}`;
const DCGM_4 = JSON.stringify({
  "DCGM Diagnostic": {
    test_categories: [
      {
        category: "Hardware",
        tests: [
          {
            name: "memory",
            results: [
              {
                entity_group: "GPU",
                entity_id: 0,
                status: "Fail",
                warnings: [{ error_id: 40, warning: "Unable to allocate memory." }],
              },
              { entity_group: "GPU", entity_id: 1, status: "Skip" },
            ],
          },
        ],
      },
    ],
  },
});

const gpusOf = (over: Partial<GpuState>): GpuState => ({
  expectedCount: 2,
  readings: parseGpuReadings(TWO_H100),
  xids: [],
  diagnosticFailures: [],
  ...over,
});
const faultsOf = (gpus: Partial<GpuState>): readonly string[] =>
  judge({ freeDiskMiB: 10_000, isWritable: true, gpus: gpusOf(gpus) }).faults;

describe("readings of nvidia-smi", () => {
  test("have each GPU with what it supports", () => {
    expect(parseGpuReadings(TWO_H100)).toMatchObject([
      { index: 0, driverVersion: "550.127.05", memoryMiB: 81_559, temperatureC: 34 },
      { index: 1, clockMhz: 1_980, slowdownBits: 4, uncorrectedErrorCount: 0 },
    ]);
    const [t4] = parseGpuReadings(T4_WITHOUT_ECC);
    expect(t4).not.toHaveProperty("uncorrectedErrorCount");
    expect(t4?.unreadable).toEqual([]);
  });

  test("name what cannot be read, and are none for anything else", () => {
    expect(parseGpuReadings(LOST)[1]?.unreadable).toContain("memory.total: [GPU is lost]");
    const failed = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.";
    for (const output of ["", "\n\n", failed, "No devices were found"]) {
      expect(parseGpuReadings(output)).toEqual([]);
    }
  });

  test("tell clocks that the hardware holds down from those of power caps and idleness", () => {
    expect([0, 1, 4, 0x20].map(isSlowedByHardware)).toEqual([false, false, false, false]);
    expect([8, 0x40, 0x80, 0x48].map(isSlowedByHardware)).toEqual([true, true, true, true]);
  });
});

describe("the kernel's log", () => {
  test("gives the driver's reports, and nothing else", () => {
    expect(parseXids(DMESG)).toEqual([
      { device: "0000:3b:00", code: 31 },
      { device: "0000:c6:00", code: 79 },
      { device: "0000:c6:00", code: 79 },
    ]);
    expect(parseXids("")).toEqual([]);
  });
});

describe("dcgmi diag", () => {
  test("gives the tests that failed, by versions 3 and 4", () => {
    expect(parseDiagnostic(DCGM_3)).toEqual([
      "dcgmi Page Retirement/Row Remap on GPU 1: A row remap is pending.",
    ]);
    expect(parseDiagnostic(DCGM_4)).toEqual(["dcgmi memory on GPU 0: Unable to allocate memory."]);
  });

  test("gives nothing for what is no diagnostic", () => {
    for (const output of ["", "{", "{}", "[1]", '{"DCGM Diagnostic": 3}', DCGM_3.slice(0, 90)]) {
      expect(parseDiagnostic(output)).toBeUndefined();
    }
  });
});

describe("a machine", () => {
  test("without GPUs is judged by its disk alone", () => {
    expect(judge({ freeDiskMiB: 10_000, isWritable: true }).faults).toEqual([]);
    expect(judge({ freeDiskMiB: 100, isWritable: false }).faults).toEqual([
      "the agent's folder cannot be written",
      "only 100 MiB of disk are free",
    ]);
  });

  test("is fit when all its GPUs answer", () => {
    expect(faultsOf({})).toEqual([]);
    expect(faultsOf({ expectedCount: 1, readings: parseGpuReadings(T4_WITHOUT_ECC) })).toEqual([]);
  });

  test("is unfit for each thing that is wrong with a GPU", () => {
    expect(faultsOf({ expectedCount: 8 })).toEqual(["only 2 of 8 GPUs are there"]);
    expect(faultsOf({ readings: parseGpuReadings(LOST) })[0]).toContain("GPU 1 cannot be read");
    expect(faultsOf({ xids: parseXids(DMESG) })).toEqual([
      "GPU at 0000:c6:00: Xid 79, it has fallen off the bus",
    ]);
    expect(faultsOf({ diagnosticFailures: ["dcgmi memory"] })).toEqual(["dcgmi memory"]);
    const errors = TWO_H100.replace("0x0000000000000004, 0", "0x0000000000000004, 3");
    expect(faultsOf({ readings: parseGpuReadings(errors) })).toEqual([
      "GPU 1 has 3 memory errors that were not corrected",
    ]);
    const shrunk = TWO_H100.replace("81559, 36", "40000, 36");
    expect(faultsOf({ readings: parseGpuReadings(shrunk) })[0]).toContain("40000 MiB");
    const { readings, ...silent } = gpusOf({});
    expect(readings).toHaveLength(2);
    const { faults } = judge({ freeDiskMiB: 10_000, isWritable: true, gpus: silent });
    expect(faults).toEqual(["nvidia-smi does not answer"]);
  });
});

describe("the watch", () => {
  const HOT = TWO_H100.replace("81559, 36", "81559, 97");

  function watchOf(answers: Record<string, () => string | undefined>, gpuCount = 2) {
    let nowMs = 0;
    const asked: string[] = [];
    const clock: Clock = { nowMs: () => nowMs, sleep: () => Promise.resolve() };
    const watch = new HealthWatch({
      clock,
      gpuCount,
      run: (command) => {
        asked.push(command);
        return Promise.resolve(answers[command]?.());
      },
      readDisk: () => Promise.resolve({ freeDiskMiB: 10_000, isWritable: true }),
      onChecked: () => undefined,
      onError: (error) => {
        throw error;
      },
    });
    return { watch, asked, advance: (byMs: number) => (nowMs += byMs) };
  }

  test("reports heat when it lasts, though by another degree, and not when it passes", async () => {
    let output = HOT;
    const { watch } = watchOf({ "nvidia-smi": () => output });
    expect(await watch.check()).toEqual([]);
    output = TWO_H100;
    expect(await watch.check()).toEqual([]);
    output = HOT;
    expect(await watch.check()).toEqual([]);
    output = HOT.replace("97", "99");
    expect(await watch.check()).toEqual(["GPU 1 is 99 °C hot"]);
  });

  test("asks no GPU tool on a machine without GPUs", async () => {
    const { watch, asked } = watchOf({}, 0);
    expect(await watch.check()).toEqual([]);
    expect(asked).toEqual([]);
  });

  test("runs the deeper check once a day, and keeps what it found", async () => {
    const answers = { "nvidia-smi": () => TWO_H100, dcgmi: () => DCGM_3 };
    const { watch, asked, advance } = watchOf(answers);
    expect(await watch.check()).toEqual([]);
    expect(asked).not.toContain("dcgmi");
    advance(DIAGNOSE_EVERY_MS);
    expect(await watch.check()).toHaveLength(1);
    advance(60_000);
    expect(await watch.check()).toHaveLength(1);
    expect(asked.filter((command) => command === "dcgmi")).toHaveLength(1);
  });

  test("takes a missing dcgmi for no fault", async () => {
    const { watch, advance } = watchOf({ "nvidia-smi": () => TWO_H100 });
    advance(DIAGNOSE_EVERY_MS);
    expect(await watch.check()).toEqual([]);
  });
});
