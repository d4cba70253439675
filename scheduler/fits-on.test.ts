import fc from "fast-check";
import { expect, test } from "vitest";
import { createRng, DEFAULT_SCHEDULER_POLICY } from "../core/index.ts";
import { fitsOnNode } from "./fits-on.ts";
import { place } from "./place.ts";
import { anyNodes, anyRequests, settled } from "./test-arbitraries.ts";

const NOW_MS = 10_000;
const policy = { ...DEFAULT_SCHEDULER_POLICY, quotas: {}, evictionCountMaxPerRound: 0 };

test("one container fits on one node exactly where a round of one request places it", () => {
  let yes = 0;
  let no = 0;
  const fitsOn = fitsOnNode({ nowMs: () => NOW_MS });
  fc.assert(
    fc.property(anyRequests, anyRequests, anyNodes, (first, then, nodes) => {
      const rng = createRng(1);
      const options = { nowMs: NOW_MS, rng, policy };
      const early = first.map((one) => ({ ...one, containerId: `${one.containerId}_first` }));
      const fleet = { nodes, containers: [] };
      const containers = settled(early, fleet, place(early, fleet, options));
      // One that is there already fits nowhere.
      for (const waiting of [...then, ...early.slice(0, 1)]) {
        for (const node of nodes) {
          const plan = place([waiting], { nodes: [node], containers }, options);
          const expected = plan.placements.length === 1;
          if (expected) yes += 1;
          else no += 1;
          expect(fitsOn(waiting, node, containers)).toBe(expected);
        }
      }
    }),
    { numRuns: 200 },
  );
  expect(Math.min(yes, no)).toBeGreaterThan(100);
});

test("a malformed request and one whose gang came too late fit nowhere", () => {
  const [node] = fc.sample(anyNodes, 50).find((nodes) => nodes.length > 0) ?? [];
  if (node === undefined) throw new Error("no node was drawn");
  const fitsOn = fitsOnNode({ nowMs: () => NOW_MS });
  const ask = (over: object): boolean => {
    const needs = { cpuMilli: 100, memoryMiB: 64, preemptible: true };
    const one = { containerId: "co", functionId: "fn", needs, requestedAtMs: 0, ...over };
    return fitsOn(one, { ...node, state: "healthy" }, []);
  };
  expect(ask({})).toBe(true);
  expect(ask({ needs: { cpuMilli: NaN, memoryMiB: 64, preemptible: true } })).toBe(false);
  const gang = { gangId: "g", size: 1, within: "zone" };
  expect(ask({ gang })).toBe(true);
  expect(ask({ gang: { ...gang, deadlineMs: NOW_MS - 1 } })).toBe(false);
  expect(ask({ gang: { ...gang, size: 2 } })).toBe(false);
});
