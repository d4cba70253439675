/** The scene on the real platform with emulated clouds: real agents, real containers, real time. */
import type { NodeSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../../tests/support/platform.ts";
import { BOOT_MS, POLICY_TEXT, type SceneInput } from "./scene.ts";

/** What was seen of a run, real or not. */
export interface Seen {
  /** From sending an input to the first line of user code, by input. */
  readonly waitsMs: readonly number[];
  readonly launches: number;
  readonly costUsd: number;
}

/** A real run, and the offer that its machines came of. */
export interface RealRun extends Seen {
  readonly offerId: string;
  readonly usdPerHour: number;
  /** Mean time from a launch to a healthy node. */
  readonly bootMs: number;
}

interface PoolEvent {
  readonly atMs: number;
  readonly kind: string;
  readonly nodeId?: string;
  readonly offerId?: string;
}

/** Plays the inputs at their times; `onProgress` hears once in a while. */
export async function playForReal(
  inputs: readonly SceneInput[],
  onProgress: (text: string) => void,
): Promise<RealRun> {
  const platform = new TestPlatform();
  try {
    const policy = platform.write("policy.yaml", POLICY_TEXT);
    const clouds = ["--emulated-clouds=aws", "--emulated-boot-ms", String(BOOT_MS)];
    await platform.start([...clouds, "--policy", policy]);
    platform.cli("deploy", "tests/fixtures/agree.ts");
    const work = await platform.lookup<[number], number>("agree", "work");
    let usdPerHour = 0;
    const notePrice = async (): Promise<void> => {
      const { nodes } = await platform.get<{ nodes: readonly NodeSummary[] }>("/v1/nodes");
      for (const node of nodes) usdPerHour = Math.max(usdPerHour, node.usdPerHour);
    };
    const startedAtMs = Date.now();
    const waits = inputs.map(async ({ atMs, durationMs }, index) => {
      await until(startedAtMs + atMs);
      if (index % 200 === 100) {
        onProgress(`real: input ${index} of ${inputs.length}`);
        await notePrice();
      }
      const sentAtMs = Date.now();
      return Math.max(0, (await work.remote(durationMs)) - sentAtMs);
    });
    const waitsMs = await Promise.all(waits);
    const { events } = await platform.get<{ events: readonly PoolEvent[] }>(
      "/v1/pool/events?limit=1000",
    );
    const { spend } = await platform.get<{ spend: { todayUsd: number } }>("/v1/pool");
    const launched = events.filter(({ kind }) => kind === "booting");
    const offerId = launched[0]?.offerId ?? "";
    return {
      waitsMs,
      launches: launched.length,
      costUsd: spend.todayUsd,
      offerId,
      usdPerHour,
      bootMs: bootMsOf(events),
    };
  } finally {
    await platform.close();
  }
}

/** Mean time from a launch to a healthy node. */
function bootMsOf(events: readonly PoolEvent[]): number {
  const launchedAtMs = new Map(
    events.flatMap(({ kind, nodeId, atMs }) =>
      kind === "booting" && nodeId !== undefined ? [[nodeId, atMs] as const] : [],
    ),
  );
  const boots = events.flatMap(({ kind, nodeId = "", atMs }) => {
    const fromMs = launchedAtMs.get(nodeId);
    return kind === "healthy" && fromMs !== undefined ? [atMs - fromMs] : [];
  });
  return boots.reduce((sum, ms) => sum + ms, 0) / Math.max(1, boots.length);
}

function until(atMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs - Date.now())));
}
