import { describe, expect, it } from "vitest";
import { assert } from "../../core/index.ts";
import { catalogOffers } from "../catalog/index.ts";
import { boundedOffer, limitsOf } from "./quotas.ts";

const offers = catalogOffers({ cloud: "gcp", regions: ["us-central1"], emulated: false });
const nodeCountMaxOf = (id: string, quotas: Parameters<typeof limitsOf>[1]): number => {
  const offer = offers.find(({ offerId }) => offerId === `gcp/us-central1/us-central1-a/${id}`);
  assert(offer !== undefined, `the catalog has ${id}`);
  return boundedOffer(offer, limitsOf("us-central1", quotas)).nodeCountMax;
};

describe("quotas", () => {
  it.each([
    ["a3-highgpu-8g/on-demand", [{ metric: "NVIDIA_H100_GPUS", limit: 16 }], 2],
    ["a3-highgpu-8g/on-demand", [{ metric: "NVIDIA_H100_GPUS", limit: 7 }], 0],
    ["a3-highgpu-8g/on-demand", [{ metric: "NVIDIA_H100_GPUS", limit: 1e6 }], 100],
    ["a3-highgpu-8g/on-demand", [{ metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", limit: 8 }], 100],
    ["a3-highgpu-8g/spot", [{ metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", limit: 8 }], 1],
    ["a3-highgpu-8g/spot", [{ metric: "NVIDIA_H100_GPUS", limit: 24 }], 3],
    [
      "a3-highgpu-8g/spot",
      [
        { metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", limit: 0 },
        { metric: "NVIDIA_H100_GPUS", limit: 24 },
      ],
      3,
    ],
    [
      "a3-highgpu-8g/spot",
      [
        { metric: "PREEMPTIBLE_NVIDIA_H100_GPUS", limit: 8 },
        { metric: "NVIDIA_H100_GPUS", limit: 0 },
      ],
      1,
    ],
    ["n1-standard-16+2xT4/on-demand", [{ metric: "NVIDIA_T4_GPUS", limit: 5 }], 2],
    ["n2-standard-16/on-demand", [{ metric: "N2_CPUS", limit: 40 }], 2],
    ["n2-standard-16/on-demand", [{ metric: "NVIDIA_T4_GPUS", limit: 0 }], 100],
    ["n2-standard-16/on-demand", [{ metric: null, limit: 0 }, { metric: "N2_CPUS" }], 100],
  ])("of %s under %j allow %i nodes", (id, quotas, nodeCountMax) => {
    expect(nodeCountMaxOf(id, quotas)).toBe(nodeCountMax);
  });
});
