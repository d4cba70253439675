import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { SimulationResult } from "../../result.ts";
import { compareResults } from "../compare.ts";
import { madeUpResult, madeUpResults } from "../test-results.ts";
import { htmlReport } from "./report.ts";
import { TOOLTIP_SCRIPT, TOOLTIP_SCRIPT_SHA256 } from "./tooltip-script.ts";

const SMALL = { bucketCount: 60, functionCount: 4 };

describe("the page", () => {
  it("names nothing outside itself", () => {
    const page = htmlReport(compareResults({ results: madeUpResults(SMALL) }));
    expect(page).not.toMatch(/https?:|\bsrc=|\bhref=|url\(|@import/);
    expect(page).toContain("default-src &#39;none&#39;");
  });

  it("allows exactly its own script", () => {
    const hash = createHash("sha256").update(TOOLTIP_SCRIPT).digest("base64");
    expect(TOOLTIP_SCRIPT_SHA256).toBe(hash);
    const page = htmlReport(compareResults({ results: [madeUpResult(SMALL)] }));
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).toContain(`<script>${TOOLTIP_SCRIPT}</script>`);
  });

  it("is harmless whatever world, policy, function, offer and region are called", () => {
    const nasty = `"><script>alert(1)</script><img src=x onerror='alert(2)'>`;
    const page = htmlReport(
      compareResults({ results: [renamed(madeUpResult(SMALL), nasty)], commit: nasty }),
    );
    expect(page.match(/<script/g)).toHaveLength(1);
    expect(page).not.toContain("<img");
    expect(page).toContain("&quot;&gt;&lt;script&gt;");
  });

  it("lists regions beside the map that it cannot place", () => {
    const run = madeUpResult(SMALL);
    const cost = { ...run.cost, byRegion: { "aws/us-east-1": 2_000_000, "vast/Utah": 1_000_000 } };
    const page = htmlReport(compareResults({ results: [{ ...run, cost }] }));
    expect(page).toMatch(/Not on the map[^<]*vast\/Utah\./);
    expect(page.match(/<circle/g)).toHaveLength(1);
  });

  it("can be made of a run in which nothing came and nothing was paid", () => {
    const page = htmlReport(compareResults({ results: [emptied(madeUpResult(SMALL))] }));
    expect(page).toContain("Nothing was paid in this run.");
    expect(page).toContain("No input came, so none waited.");
    expect(page).not.toMatch(/NaN|Infinity|undefined/);
  });

  it("draws no more points than fit, however long the run", () => {
    const results = [madeUpResult({ bucketCount: 20_000, functionCount: 2 })];
    expect(htmlReport(compareResults({ results })).length).toBeLessThan(700_000);
  });
});

function renamed(run: SimulationResult, name: string): SimulationResult {
  return {
    ...run,
    world: name,
    policy: name,
    functions: run.functions.map((one) => ({ ...one, functionId: name + one.functionId })),
    cost: {
      ...run.cost,
      byCloud: { [name]: 1 },
      byRegion: { [`${name}/x`]: 1 },
      byGpuType: { [name]: 1 },
      byPurchase: { [name]: 1 },
    },
    timeline: { ...run.timeline, costByOffer: { [name]: run.timeline.paidGpus } },
  };
}

function emptied(run: SimulationResult): SimulationResult {
  const none = run.timeline.paidGpus.map(() => 0);
  return {
    ...run,
    inputs: 0,
    functions: [],
    cost: {
      paidMicroUsd: 0,
      byOffer: {},
      byCloud: {},
      byRegion: {},
      byGpuType: {},
      byPurchase: {},
    },
    gpu: { usefulGpuSeconds: 0, heldGpuSeconds: 0, paidGpuSeconds: 0, lostGpuSeconds: 0 },
    bounds: { b0MicroUsd: 0, b60MicroUsd: 0 },
    timeline: {
      bucketMs: run.timeline.bucketMs,
      offeredGpus: none,
      busyGpus: none,
      heldGpus: none,
      readyGpus: none,
      paidGpus: none,
      bufferGpus: none,
      slotWaitP99Ms: none,
      queued: none,
      costByOffer: {},
    },
  };
}
