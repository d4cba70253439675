/**
 * The month's limit over several servers on one store: each in a process of its own, all at the
 * same second of a clock that the test moves, racing within it.
 */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { WorkspaceQuotas } from "../../sdk/protocol/index.ts";
import type { RecordStore } from "../store/record-store.ts";
import { openRecordStore } from "../store/sqlite/open.ts";
import { OPEN_STORE, StoreProcesses, urlOf, type StoreProcess } from "../store/test-processes.ts";
import { catalogRates } from "./rates.ts";

const START_MS = Date.UTC(2026, 0, 10);
const NEXT_MONTH_MS = Date.UTC(2026, 1, 1);
const SECONDS_MAX = 200;
const CONTAINERS_PER_SECOND = 2;
const CPU_MILLI = 64_000;
/** What a second of one container costs. */
const SECOND_MICRO_USD = (catalogRates().cpuMicroUsdPerCoreHour * CPU_MILLI) / 1_000 / 3_600;

/**
 * A server: at each second it looks at what it may, as the platform does. While calls are taken
 * it starts containers; once they are refused it ends what it has, whose inputs are done.
 */
const SERVER = `
  ${OPEN_STORE}
  import { createInterface } from "node:readline";
  import { UsageMeter } from ${urlOf("../usage/usage-meter.ts")};
  import { catalogRates } from ${urlOf("../usage/rates.ts")};
  const [path, serverId] = process.argv.slice(1);
  const store = openRecordStore(path);
  let nowMs = 0;
  const meter = new UsageMeter({
    store, serverId, clock: { nowMs: () => nowMs }, rates: catalogRates(),
    onError: (error) => { throw error; }, onNear: () => undefined,
  });
  const node = { nodeId: "no_" + serverId };
  const live = {
    workspaceId: "default", app: "demo", codeName: "f", gpuCount: 0,
    needs: { cpuMilli: ${CPU_MILLI}, memoryMiB: 0 }, spec: { tags: {} },
  };
  const held = [];
  process.stdout.write("waiting\\n");
  for await (const line of createInterface({ input: process.stdin })) {
    nowMs = Number(line);
    await meter.beat(() => true);
    const refusal = meter.callRefusal(live);
    let opened = 0;
    if (refusal === undefined) {
      const containers = Array.from({ length: ${CONTAINERS_PER_SECOND} }, (_, at) => ({
        containerId: [serverId, nowMs, at].join("-"), live, nodeId: node.nodeId, startedAtMs: nowMs,
      }));
      const outcomes = await Promise.all(containers.map((one) => meter.open(one, node)));
      const taken = containers.filter((_, at) => outcomes[at].kind === "opened");
      held.push(...taken);
      opened = taken.length;
    } else {
      for (const { containerId } of held.splice(0)) meter.ended(containerId);
      await meter.beat(() => true);
    }
    const said = { isRefused: refusal !== undefined, opened, held: held.length };
    process.stdout.write(JSON.stringify(said) + "\\n");
  }
`;

interface Said {
  readonly isRefused: boolean;
  readonly opened: number;
  readonly held: number;
}

let processes: StoreProcesses;
let store: RecordStore;
let nowMs = START_MS;

beforeEach(async () => {
  processes = await StoreProcesses.open();
  store = openRecordStore(processes.pathOf());
  nowMs = START_MS;
});

afterEach(async () => {
  await store.close();
  await processes.close();
});

async function start(count: number, quotas: WorkspaceQuotas): Promise<readonly StoreProcess[]> {
  await store.usage.setQuotas("default", quotas);
  const servers = Array.from({ length: count }, (_, index) =>
    processes.run(SERVER, processes.pathOf(), `server${index}`),
  );
  await Promise.all(servers.map((server) => server.next()));
  return servers;
}

/** One second later: all servers at once. */
async function second(servers: readonly StoreProcess[]): Promise<readonly Said[]> {
  nowMs += 1_000;
  for (const server of servers) server.tell(String(nowMs));
  return Promise.all(servers.map(async (server) => JSON.parse(await server.next()) as Said));
}

/** Until every server refuses calls; gives what was held at most, all servers together. */
async function untilRefused(servers: readonly StoreProcess[]): Promise<number> {
  let most = 0;
  for (let passed = 0; passed < SECONDS_MAX; passed += 1) {
    const said = await second(servers);
    if (said.every(({ isRefused }) => isRefused)) return most;
    most = Math.max(
      most,
      said.reduce((sum, { held }) => sum + held, 0),
    );
  }
  throw new Error(`the limit was not met in ${SECONDS_MAX} seconds`);
}

async function monthMicroUsd(): Promise<number> {
  return (await store.usage.useOf("default", nowMs)).monthMicroUsd;
}

const LIMITS: readonly (readonly [name: string, quotas: WorkspaceQuotas, limit: number])[] = [
  ["the limit of the month", { microUsdPerMonthMax: 200_000 }, 200_000],
  ["the free credit", { microUsdPerMonthMax: 0, freeMicroUsdPerMonth: 150_000 }, 150_000],
  ["limit and credit", { microUsdPerMonthMax: 90_000, freeMicroUsdPerMonth: 90_000 }, 180_000],
];

test.each(LIMITS)(
  "servers that share a store use up %s together, and stop within a second of it",
  async (_, quotas, limit) => {
    const servers = await start(2, quotas);
    const held = await untilRefused(servers);
    const spent = await monthMicroUsd();
    expect(spent).toBeGreaterThanOrEqual(limit);
    // A second until the other's beat is seen, and one in which it acts on it.
    expect(spent - limit).toBeLessThanOrEqual(2 * held * SECOND_MICRO_USD);

    const after = [await second(servers), await second(servers)].flat();
    expect(after).toEqual(after.map(() => ({ isRefused: true, opened: 0, held: 0 })));
    expect(await monthMicroUsd()).toBe(spent);
    const hours = await store.usage.hours("default", START_MS - 3_600_000, nowMs + 3_600_000);
    expect(hours.reduce((sum, { cpuMicroUsd }) => sum + cpuMicroUsd, 0)).toBe(spent);
  },
);

test("all go on at once when the limit is raised, up to that, and when the month is over", async () => {
  const servers = await start(2, { microUsdPerMonthMax: 50_000 });
  await untilRefused(servers);
  await store.usage.setQuotas("default", { microUsdPerMonthMax: 150_000 });
  for (const { opened } of await second(servers)) expect(opened).toBe(CONTAINERS_PER_SECOND);
  const held = await untilRefused(servers);
  expect((await monthMicroUsd()) - 150_000).toBeLessThanOrEqual(2 * held * SECOND_MICRO_USD);

  nowMs = NEXT_MONTH_MS;
  for (const { opened } of await second(servers)) expect(opened).toBe(CONTAINERS_PER_SECOND);
  const again = await untilRefused(servers);
  expect((await monthMicroUsd()) - 150_000).toBeLessThanOrEqual(2 * again * SECOND_MICRO_USD);
});

test("a server that is killed with containers neither frees the others nor is counted twice", async () => {
  const servers = await start(3, { microUsdPerMonthMax: 200_000 });
  for (let passed = 0; passed < 3; passed += 1) await second(servers);
  const [killed, ...others] = servers;
  killed?.child.kill("SIGKILL");
  await killed?.ended;
  const before = await monthMicroUsd();
  const held = await untilRefused(others);
  const spent = await monthMicroUsd();
  expect(before).toBeLessThan(200_000);
  expect(spent).toBeGreaterThanOrEqual(200_000);
  expect(spent - 200_000).toBeLessThanOrEqual(2 * held * SECOND_MICRO_USD);

  // It comes back, and what it had is gone: counted up to its last beat, as before.
  const back = processes.run(SERVER, processes.pathOf(), "server0");
  await back.next();
  await store.usage.loseOf("server0");
  for (const span of await store.usage.listOpen()) {
    await store.usage.end(span.containerId, span.untilMs);
  }
  expect(await second([back, ...others])).toMatchObject([
    { isRefused: true, opened: 0 },
    { isRefused: true, opened: 0 },
    { isRefused: true, opened: 0 },
  ]);
  expect(await monthMicroUsd()).toBe(spent);
});
