import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import { TestPlatform } from "../support/platform.ts";

const MIB = 1024 * 1024;

describe("values of any size", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/large-values.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const lookUp = <Args extends unknown[], Result>(name: string) =>
    platform.lookup<Args, Result>("large", name);
  const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

  function patterned(byteCount: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(byteCount);
    for (let index = 0; index < byteCount; index += 61) bytes[index] = index % 251;
    return bytes;
  }

  it.each(["echo", "pythonEcho", "pythonAsync", "pythonForked"])(
    "go to %s and come back as they were",
    async (name) => {
      const echo = await lookUp<[unknown], unknown>(name);
      const sent = patterned(40 * MIB);
      const back = (await echo.remote({ label: "forty", sent })) as { sent: Uint8Array };
      expect(hashOf(back.sent)).toBe(hashOf(sent));
      const text = "flotilla ".repeat(2 * MIB);
      expect(await echo.remote([text, 1])).toEqual([text, 1]);
    },
  );

  it("are in a container's memory once, and never whole in the server's or the agent's", async () => {
    const weigh = await lookUp<[Uint8Array], { byteCount: number; rssMiB: number }>("weigh");
    const { rssMiB: atRestMiB } = await weigh.remote(new Uint8Array(10));
    const before = peaks();
    const { byteCount, rssMiB } = await weigh.remote(patterned(256 * MIB));
    expect(byteCount).toBe(256 * MIB);
    expect(rssMiB - atRestMiB).toBeLessThan(256 * 1.5);
    for (const [pid, peakMiB] of peaks())
      expect(peakMiB - (before.get(pid) ?? 0)).toBeLessThan(200);
  });

  it("travel in maps, item by item, and between functions", async () => {
    const echo = await lookUp<[Uint8Array], Uint8Array>("echo");
    const sizes: number[] = [];
    const items = [17, 1, 20].map((mib) => patterned(mib * MIB));
    for await (const value of echo.map(items)) sizes.push(value.byteLength);
    expect(sizes).toEqual([17 * MIB, MIB, 20 * MIB]);
    const through = await lookUp<[Uint8Array], number>("through");
    expect(await through.remote(patterned(18 * MIB))).toBe(18 * MIB);
  });

  it("end a container that has not the memory for them, and fail", async () => {
    const weigh = await lookUp<[Uint8Array], unknown>("weigh");
    await expect(weigh.remote(new Uint8Array(600 * MIB))).rejects.toMatchObject({
      code: "out_of_memory",
      message: expect.stringMatching(
        /ran out of its 512 MiB of memory; give the function more/,
      ) as string,
    });
  });

  /** Largest resident memory so far, in MiB, of the platform's own processes by their ids. */
  function peaks(): Map<number, number> {
    const found = new Map<number, number>();
    for (const pid of processesOf(platform.scratchDir)) {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (!/node/.test(command) || /runsc/.test(command)) continue;
      const peak = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
      found.set(pid, Number(peak?.[1] ?? 0) / 1024);
    }
    return found;
  }
});
