import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CallStatus } from "../../sdk/protocol/index.ts";
import { processesOf } from "../../scripts/platform/sweep.ts";
import { streamEvents } from "../../sdk/client/event-stream.ts";
import { Client } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

const INPUTS = 10_000;

describe("a map of 10,000 while a process is killed", () => {
  let platform: TestPlatform;

  beforeEach(async () => {
    platform = new TestPlatform();
    await platform.start();
    platform.cli("deploy", "tests/fixtures/misbehave.ts");
  });

  afterEach(async () => {
    await platform.close();
  });

  /** Maps, runs `kill` once a tenth of the results are here, and checks each result. */
  async function mapThrough(kill: () => Promise<void>): Promise<void> {
    const slowDouble = await platform.lookup<[number], number>("misbehave", "slowDouble");
    const inputs = Array.from({ length: INPUTS }, (_, index) => index);
    const seen = new Map<number, number>();
    let killed: Promise<void> | undefined;
    for await (const value of slowDouble.map(inputs, { ordered: false })) {
      seen.set(value, (seen.get(value) ?? 0) + 1);
      if (seen.size >= INPUTS / 10) killed ??= kill();
    }
    expect(killed).toBeDefined();
    await killed;
    expect(seen.size).toBe(INPUTS);
    expect([...seen.values()].every((count) => count === 1)).toBe(true);
    expect(inputs.every((value) => seen.has(2 * value))).toBe(true);
    await expectLedgerIsWhole();
  }

  /** In the ledger, too, every input has exactly one result. */
  async function expectLedgerIsWhole(): Promise<void> {
    const { serverUrl, token } = platform.running;
    const signal = AbortSignal.timeout(10_000);
    let callId = "";
    const client = new Client({ serverUrl, token });
    for await (const event of streamEvents(client, { after: "0" }, { signal })) {
      if (event.kind === "call.queued") callId = event.callId ?? "";
      if (callId !== "") break;
    }
    const map = await platform.get<CallStatus>(`/v1/calls/${callId}`);
    expect(map).toMatchObject({
      state: "finished",
      inputCount: INPUTS,
      finishedCount: INPUTS,
      failedCount: 0,
    });
  }

  function pidOf(part: string): number {
    const pid = processesOf(platform.scratchDir).find((candidate) =>
      readFileSync(`/proc/${candidate}/cmdline`, "utf8").includes(part),
    );
    if (pid === undefined) throw new Error(`no process of the platform has ${part} in its command`);
    return pid;
  }

  it("ends every input with one result when the agent is killed", async () => {
    await mapThrough(async () => {
      process.kill(pidOf("sandbox/agent/main.ts"), "SIGKILL");
      return Promise.resolve();
    });
  });

  it("ends every input with one result when Redis is killed", async () => {
    await mapThrough(async () => {
      process.kill(pidOf("redis-server"), "SIGKILL");
      return Promise.resolve();
    });
  });

  it("ends every input with one result when the server is killed and started again", async () => {
    await mapThrough(async () => {
      process.kill(platform.running.pid, "SIGKILL");
      await platform.start();
    });
  });
});
