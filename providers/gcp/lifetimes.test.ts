import { afterEach, beforeEach, expect, it } from "vitest";
import { LIFETIME_NOTICE_MS } from "./lifetimes.ts";
import { openGcpBench, type GcpBench } from "./test-bench.ts";

const DAY_MS = 86_400_000;

let bench: GcpBench;
beforeEach(async () => {
  bench = await openGcpBench();
});
afterEach(() => bench.close());

/** Somebody makes a machine with our label. */
async function insert(name: string, scheduling: object): Promise<void> {
  const { emulator } = bench;
  const path = `projects/${emulator.projectId}/zones/us-central1-a/instances`;
  const answer = await fetch(`${emulator.endpoint}/compute/v1/${path}`, {
    method: "POST",
    body: JSON.stringify({
      name,
      machineType: "zones/us-central1-a/machineTypes/g2-standard-8",
      labels: { flotilla_3acluster: "cluster-1" },
      scheduling: { onHostMaintenance: "TERMINATE", automaticRestart: false, ...scheduling },
      disks: [{ boot: true, initializeParams: { sourceImage: "projects/p/global/images/i" } }],
      networkInterfaces: [{}],
    }),
  });
  expect(answer.status, await answer.text()).toBe(200);
}

it("tells ahead of the end of a legacy preemptible machine, and of no Spot machine", async () => {
  const { clock, provider, passingTime } = bench;
  await insert("no-legacy", { preemptible: true });
  await insert("no-spot", { preemptible: true, provisioningModel: "SPOT" });
  const madeAtMs = clock.nowMs();
  const listed = await passingTime(provider.listNodes());
  expect(listed.nodes.map(({ nodeId }) => nodeId)).toEqual(["no_legacy", "no_spot"]);
  await clock.advance(madeAtMs + DAY_MS - LIFETIME_NOTICE_MS - 60_000 - clock.nowMs());
  expect(await passingTime(provider.interruptions())).toEqual([]);
  await clock.advance(madeAtMs + DAY_MS - LIFETIME_NOTICE_MS - clock.nowMs());
  const told = await passingTime(provider.interruptions());
  expect(told).toHaveLength(1);
  expect(told[0]?.providerNodeId).toMatch(/\/no-legacy\//);
  expect(told[0]?.deadlineMs).toBe(madeAtMs + DAY_MS);
});

it("rents as Spot what the offer calls spot, never as legacy preemptible", async () => {
  const { provider, passingTime, emulator } = bench;
  const [offer] = (await passingTime(provider.listOffers())).filter(
    ({ purchase }) => purchase === "spot",
  );
  const request = { nodeIds: ["no_a"], clientToken: "t", userData: "", tags: {} };
  await passingTime(provider.rent({ ...request, offers: offer === undefined ? [] : [offer] }));
  const asked = emulator.journal().map(({ params }) => params["body"] ?? "");
  expect(asked.some((body) => body.includes('"provisioningModel":"SPOT"'))).toBe(true);
  expect(asked.some((body) => body.includes('"preemptible"'))).toBe(false);
});
