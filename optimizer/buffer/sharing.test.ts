import { describe, expect, test } from "vitest";
import type { GpuType } from "../../core/index.ts";
import { canShare, poolKeyOf, sharedNeeds, sharingGroups, type GpuNeeds } from "./sharing.ts";

function needs(types: readonly GpuType[], more: Partial<GpuNeeds> = {}): GpuNeeds {
  const gpu = { types, count: 1 };
  return { gpu, cpuMilli: 4_000, memoryMiB: 16_384, preemptible: false, ...more };
}

describe("needs share idle GPUs", () => {
  test("when they have a type, a region and a cloud in common", () => {
    const check = (b: GpuNeeds, expected: boolean): void => {
      const a = needs(["H100", "A100-80GB"], { regions: ["eu-west-1"], clouds: ["aws"] });
      expect(canShare(a, b)).toBe(expected);
      expect(canShare(b, a)).toBe(expected);
    };
    check(needs(["A100-80GB"]), true);
    check(needs(["L4"]), false);
    check(needs(["H100"], { regions: ["us-east-1"] }), false);
    check(needs(["H100"], { clouds: ["gcp"] }), false);
  });

  test("in what all of them accept, with room for the largest", () => {
    const a = needs(["H100", "A100-80GB"], { regions: ["eu-west-1", "us-east-1"] });
    const b = needs(["A100-80GB", "H100", "L4"], { cpuMilli: 8_000, preemptible: true });
    expect(sharedNeeds(a, b)).toEqual({
      gpu: { types: ["H100", "A100-80GB"], count: 1 },
      cpuMilli: 8_000,
      memoryMiB: 16_384,
      preemptible: false,
      regions: ["eu-west-1", "us-east-1"],
    });
    expect(sharedNeeds(a, needs(["H100"], { gpu: { types: ["H100"], count: 8 } }))).toBe(undefined);
  });

  test("transitively: one that overlaps two joins them", () => {
    const items = [needs(["H100"]), needs(["L4"]), needs(["T4"]), needs(["L4", "H100"])].map(
      (each) => ({ needs: each }),
    );
    expect(sharingGroups(items).map(poolKeyOf)).toEqual(["H100|L4@*/*", "T4@*/*"]);
  });
});
