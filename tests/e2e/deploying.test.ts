/** New versions on a real platform: what calls get while one follows the other, kills included. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FunctionCall } from "../../sdk/index.ts";
import type { AppHistory, DeployRequest } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

/** When and by which version an input ran. */
interface Run {
  readonly version: string;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
}

const RUN_MS = 500;
const CALLS = 8;

const codeOf = (version: string): string => `import { App } from "flotilla";
const app = new App("shop");
export const work = app.function({ cpu: 0.1, memoryMiB: 128, maxContainers: 2 }, async () => {
  const startedAtMs = Date.now();
  await new Promise((resolve) => setTimeout(resolve, ${RUN_MS}));
  return { version: "${version}", startedAtMs, endedAtMs: Date.now() };
});
`;

describe("versions of a deployed app", () => {
  let platform: TestPlatform;

  beforeEach(async () => {
    platform = new TestPlatform();
    await platform.start();
    platform.cli("deploy", platform.write("first.ts", codeOf("first")));
  });

  afterEach(async () => {
    await platform.close();
  });

  async function spawnAll(): Promise<readonly FunctionCall<Run>[]> {
    const work = await platform.lookup<[], Run>("shop", "work");
    return Promise.all(Array.from({ length: CALLS }, () => work.spawn()));
  }

  async function runsOf(calls: readonly FunctionCall<Run>[]): Promise<readonly Run[]> {
    return Promise.all(calls.map((call) => call.get()));
  }

  function history(): AppHistory {
    return JSON.parse(platform.cli("app", "history", "shop", "--json")) as AppHistory;
  }

  async function kill(): Promise<void> {
    process.kill(platform.running.pid, "SIGKILL");
    await platform.start();
  }

  it("each run their own calls while one follows the other, and are rolled back", async () => {
    const old = await spawnAll();
    platform.cli("deploy", platform.write("second.ts", codeOf("second")));
    const fresh = await spawnAll();
    expect(new Set((await runsOf(fresh)).map(({ version }) => version))).toEqual(
      new Set(["second"]),
    );
    expect(new Set((await runsOf(old)).map(({ version }) => version))).toEqual(new Set(["first"]));
    expect(platform.cli("app", "rollback", "shop")).toContain("Deployed shop version 3");
    expect(JSON.parse(platform.cli("call", "shop", "work", "--json"))).toMatchObject({
      version: "first",
    });
    expect(history().versions).toMatchObject([
      { version: 3, state: "running", rollbackOf: 1, deployedBy: { name: "owner" } },
      { version: 2, changes: { code: true, added: [], removed: [], changed: [] } },
      { version: 1, functions: ["work"] },
    ]);
    const refused = platform.tryCli("app", "rollback", "shop", "--to", "9");
    expect(refused.status).toBe(4);
    expect(refused.stderr).toContain("flotilla app history shop");
  });

  it("follow each other by recreate without a lost call or an overlap, the server killed", async () => {
    const old = await spawnAll();
    const second = platform.write("second.ts", codeOf("second"));
    platform.cli("deploy", second, "--strategy", "recreate");
    const fresh = await spawnAll();
    expect(history().versions.map(({ state }) => state)).toEqual(["running", "finishing"]);
    await kill();
    const before = await runsOf(old);
    const after = await runsOf(fresh);
    expect(new Set(before.map(({ version }) => version))).toEqual(new Set(["first"]));
    expect(new Set(after.map(({ version }) => version))).toEqual(new Set(["second"]));
    const lastEndMs = Math.max(...before.map(({ endedAtMs }) => endedAtMs));
    expect(Math.min(...after.map(({ startedAtMs }) => startedAtMs))).toBeGreaterThan(lastEndMs);
  });

  it("are one that runs, and no call is lost, when the server is killed while it deploys", async () => {
    const calls = [...(await spawnAll())];
    const { serverUrl, token } = platform.running;
    const [deployed] = history().versions;
    const request: DeployRequest = {
      mode: "deployed",
      codeSha256: deployed?.codeSha256 ?? "",
      functions: [{ name: "work", spec: { cpu: 0.1, memoryMiB: 128 } }],
    };
    const deploy = async (): Promise<unknown> =>
      fetch(`${serverUrl}/v1/apps/shop/deployments`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify(request),
      });
    const deploys = Array.from({ length: 20 }, deploy);
    await Promise.race(deploys);
    await kill();
    await Promise.allSettled(deploys);
    calls.push(...(await spawnAll()));
    expect(await runsOf(calls)).toHaveLength(2 * CALLS);
    const { versions } = history();
    expect(versions.length).toBeGreaterThanOrEqual(2);
    expect(versions.filter(({ state }) => state === "running")).toEqual([versions[0]]);
  });
});
