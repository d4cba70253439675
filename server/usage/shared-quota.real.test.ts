import { afterEach, beforeEach, expect, test } from "vitest";
import type { WorkspaceQuotas } from "../../sdk/protocol/index.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { OPEN_STORE, StoreProcesses, urlOf } from "../store/test-processes.ts";

const SERVERS = 3;
const ROUNDS = 40;
const START_MS = Date.UTC(2026, 0, 10);

/**
 * A server of its own process: its meter takes containers as fast as it can, ends every third of
 * those that it got, and says how many the workspace was seen to have after each that it took.
 */
const SERVER = `
  ${OPEN_STORE}
  import { UsageMeter } from ${urlOf("../usage/usage-meter.ts")};
  import { catalogRates } from ${urlOf("../usage/rates.ts")};
  const [path, serverId, rounds, gpuCount, startMs] = process.argv.slice(1);
  const store = openRecordStore(path);
  let nowMs = Number(startMs);
  const meter = new UsageMeter({
    store, serverId, clock: { nowMs: () => nowMs }, rates: catalogRates(),
    onError: (error) => { throw error; }, onNear: () => undefined,
  });
  const node = { nodeId: "no_" + serverId, gpuType: "L4" };
  const live = {
    workspaceId: "default", app: "demo", codeName: "f", gpuCount: Number(gpuCount),
    needs: { cpuMilli: 1000, memoryMiB: 1024 }, spec: { tags: {} },
  };
  process.stdin.once("data", async () => {
    let [most, opened] = [0, 0];
    for (let index = 0; index < Number(rounds); index += 1) {
      const containers = [0, 1, 2].map((at) => ({
        containerId: [serverId, index, at].join("-"), live, nodeId: node.nodeId, startedAtMs: nowMs,
      }));
      const outcomes = await Promise.all(containers.map((one) => meter.open(one, node)));
      const { containers: held, gpuMilli } = await store.usage.useOf("default", nowMs);
      most = Math.max(most, held, gpuMilli / 1000 / (Number(gpuCount) || Infinity));
      opened += outcomes.filter(({ kind }) => kind === "opened").length;
      if (opened > 0 && index % 3 === 0) {
        nowMs += 60_000;
        for (const { containerId } of containers) await store.usage.end(containerId, nowMs);
      }
      await meter.beat(() => true);
    }
    await store.close();
    process.stdout.write(JSON.stringify({ most, opened }) + "\\n");
    process.stdin.destroy();
  });
  process.stdout.write("waiting\\n");
`;

let processes: StoreProcesses;

beforeEach(async () => {
  processes = await StoreProcesses.open();
});

afterEach(() => processes.close());

interface Said {
  /** Most that the workspace was seen to hold: containers, or GPUs where it has such a quota. */
  readonly most: number;
  readonly opened: number;
}

/** Servers in processes of their own that begin at the same time on one store. */
async function race(quotas: WorkspaceQuotas, gpuCount: number): Promise<readonly Said[]> {
  const path = processes.pathOf();
  const store = openRecordStore(path);
  await store.usage.setQuotas("default", quotas);
  await store.close();
  const servers = Array.from({ length: SERVERS }, (_, index) => {
    const words = [`server${index}`, String(ROUNDS), String(gpuCount), String(START_MS)];
    return processes.run(SERVER, path, ...words);
  });
  await Promise.all(servers.map((server) => server.next()));
  for (const server of servers) server.tell("go");
  return Promise.all(servers.map(async (server) => JSON.parse(await server.next()) as Said));
}

test("servers that share a store never hold more containers than the quota together", async () => {
  const said = await race({ containersMax: 5 }, 0);
  expect(Math.max(...said.map(({ most }) => most))).toBe(5);
  expect(said.reduce((sum, { opened }) => sum + opened, 0)).toBeGreaterThanOrEqual(5);
});

test("nor more GPUs", async () => {
  const said = await race({ gpusMax: 4 }, 1);
  expect(Math.max(...said.map(({ most }) => most))).toBe(4);
});
