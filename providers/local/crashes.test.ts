/**
 * Whatever happens in whatever order (rents, releases, agents that end, starts that fail or whose
 * answer is lost, control planes that crash, pids that are used again): at most one agent runs,
 * the listing says which, a token starts one machine at most, and one sweep leaves none.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { assert } from "../../core/index.ts";
import { createManualClock } from "../fake/index.ts";
import type { Provider } from "../provider.ts";
import { createLocalProvider } from "./provider.ts";

type Step =
  | { readonly kind: "rent" | "release"; readonly token: number }
  | { readonly kind: "agent-ends" | "control-plane-crashes" }
  /** What becomes of the next start. */
  | { readonly kind: "start-fails" | "answer-is-lost" };

const token = fc.integer({ min: 0, max: 4 });
const steps = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant("rent" as const), token }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), token }) },
    fc.record({
      kind: fc.constantFrom(
        ...(["agent-ends", "control-plane-crashes", "start-fails", "answer-is-lost"] as const),
      ),
    }),
  ),
  { maxLength: 30 },
);

/** The only pid there is: each agent gets it, and so do strangers. */
const PID = 7;

/** A host in memory, and the kernel's word on its one pid. */
class Host {
  readonly started: string[] = [];
  running: string | undefined;
  /** Rises with each process that gets the pid. */
  identity = 0;
  next: "starts" | "start-fails" | "answer-is-lost" = "starts";

  launch = async ({ machineId }: { readonly machineId: string }): Promise<number> => {
    const { next } = this;
    this.next = "starts";
    if (next === "start-fails") throw new Error("it did not start");
    assert(this.running === undefined, "a second agent was started");
    this.started.push(machineId);
    this.running = machineId;
    this.identity += 1;
    if (next === "answer-is-lost") throw new Error("nobody knows whether it started");
    return PID;
  };
  find = async (machineId: string) => (this.running === machineId ? PID : undefined);
  end = async (machineId: string): Promise<void> => {
    if (this.running === machineId) this.strangerTakesPid();
  };
  identityOf = async (): Promise<string> => `boot/${this.identity}`;

  strangerTakesPid(): void {
    this.running = undefined;
    this.identity += 1;
  }
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-crashes-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const machine = { resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 1_024 }, emulated: false };

async function take(step: Step, host: Host, provider: Provider): Promise<void> {
  if (step.kind === "rent") {
    const clientToken = `t${step.token}`;
    const offers = await provider.listOffers();
    const request = { offers, nodeIds: [clientToken], clientToken, userData: "", tags: {} };
    await provider.rent(request).catch(() => undefined);
  } else if (step.kind === "release") {
    const { nodes } = await provider.listNodes();
    const own = nodes.filter(({ nodeId }) => nodeId === `t${step.token}`);
    await provider.release(own.map(({ providerNodeId }) => providerNodeId));
  } else if (step.kind === "agent-ends") {
    if (host.running !== undefined) host.strangerTakesPid();
  } else if (step.kind !== "control-plane-crashes") {
    host.next = step.kind;
  }
}

const liveIds = async (provider: Provider): Promise<readonly string[]> =>
  (await provider.listNodes()).nodes
    .filter(({ state }) => state !== "terminated")
    .map(({ providerNodeId }) => providerNodeId);

it("keeps one agent, one machine for a token, and a listing that is true", async () => {
  const clock = createManualClock(1_000_000);
  let runCount = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      runCount += 1;
      const bookPath = join(dir, `${runCount}.json`);
      const host = new Host();
      const open = () =>
        createLocalProvider({ machine, clock, bookPath, host, identityOf: host.identityOf });
      let provider = open();
      for (const step of taken) {
        if (step.kind === "control-plane-crashes") provider = open();
        await take(step, host, provider);
        const running = host.running === undefined ? [] : [host.running];
        expect(await liveIds(provider)).toEqual(running);
        expect((await provider.listOffers())[0]?.nodeCountMax).toBe(1 - running.length);
      }
      expect(new Set(host.started).size).toBe(host.started.length);
      const swept = open();
      await swept.release(await liveIds(swept));
      expect(host.running).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});
