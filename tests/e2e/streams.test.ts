import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { processesOf } from "../../scripts/platform/sweep.ts";
import type { ContainerSummary } from "../../sdk/protocol/index.ts";
import { TestPlatform } from "../support/platform.ts";

type Count = AsyncGenerator<number, string>;

describe("generators", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/streams.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const lookUp = <Args extends unknown[], Result>(name: string) =>
    platform.lookup<Args, Result>("streams", name);
  const logs = (): string => platform.tryCli("app", "logs", "streams").stdout;
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, value) => value);

  function pidOf(part: string): number {
    const pid = processesOf(platform.scratchDir).find((candidate) =>
      readFileSync(`/proc/${candidate}/cmdline`, "utf8").includes(part),
    );
    if (pid === undefined) throw new Error(`no process of the platform has ${part}`);
    return pid;
  }

  it("yields values as they come and gives what the generator returns", async () => {
    const count = await lookUp<[number, number?], Count>("count");
    const stream = count.remoteGen(5, 200);
    const seen: number[] = [];
    const startedAtMs: number[] = [];
    for (;;) {
      const step = await stream.next();
      if (step.done === true) {
        expect(step.value).toBe("counted 5");
        break;
      }
      seen.push(step.value);
      startedAtMs.push(performance.now());
    }
    expect(seen).toEqual(upTo(5));
    // The first was here before the last was made.
    expect((startedAtMs.at(-1) ?? 0) - (startedAtMs[0] ?? 0)).toBeGreaterThan(300);
  });

  it("carries many values in order", async () => {
    const count = await lookUp<[number], Count>("count");
    const seen: number[] = [];
    for await (const value of count.remoteGen(500)) seen.push(value);
    expect(seen).toEqual(upTo(500));
  });

  it("lets the generator run a window ahead only, and ends it when the reader leaves", async () => {
    const eager = await lookUp<[], AsyncGenerator<number, void>>("eager");
    for await (const value of eager.remoteGen()) if (value === 5) break;
    await expect.poll(logs, { interval: 200 }).toMatch(/ended after \d+, aborted true/);
    const ended = Number(/ended after (\d+)/.exec(logs())?.[1]);
    expect(ended).toBeGreaterThanOrEqual(5);
    expect(ended).toBeLessThanOrEqual(64);
  });

  it("gives the values before an error, then the error", async () => {
    const breaks = await lookUp<[], Generator<{ part: Uint8Array }, void>>("breaks");
    const seen: unknown[] = [];
    const read = async (): Promise<void> => {
      for await (const value of breaks.remoteGen()) seen.push(value);
    };
    await expect(read()).rejects.toThrow(RangeError);
    expect(seen).toEqual([{ part: new Uint8Array([1, 2, 3]) }]);
  });

  it("says which way to call what is a generator and what is none", async () => {
    const count = await lookUp<[number], Count>("count");
    await expect(count.remote(1)).rejects.toThrow("call it with remoteGen");
    const plain = await lookUp<[], Generator<number, void>>("plain");
    await expect(plain.remoteGen().next()).rejects.toThrow("call it with remote, not remoteGen");
  });

  it("streams from a container to a container", async () => {
    const doubled = await lookUp<[number], AsyncGenerator<number, void>>("doubled");
    const seen: number[] = [];
    for await (const value of doubled.remoteGen(40)) seen.push(value);
    expect(seen).toEqual(upTo(40).map((value) => 2 * value));
  });

  const breakages: Readonly<Record<string, () => Promise<void>>> = {
    "its container is stopped": async () => {
      const { containers } = await platform.get<{ containers: readonly ContainerSummary[] }>(
        "/v1/containers",
      );
      for (const one of containers) {
        if (one.state === "busy") platform.cli("container", "stop", one.containerId);
      }
    },
    "the agent is killed": async () => {
      process.kill(pidOf("sandbox/agent/main.ts"), "SIGKILL");
      await Promise.resolve();
    },
    "the server is killed": async () => {
      process.kill(platform.running.pid, "SIGKILL");
      await platform.start();
    },
  };

  it.each(Object.entries(breakages))(
    "gives each value once, in order, although %s",
    async (_, breakIt) => {
      const count = await lookUp<[number, number], Count>("count");
      const seen: number[] = [];
      let broken: Promise<void> | undefined;
      for await (const value of count.remoteGen(150, 20)) {
        seen.push(value);
        if (value === 40) broken = breakIt();
      }
      await broken;
      expect(seen).toEqual(upTo(150));
    },
  );

  describe("of values that are larger than a frame", () => {
    const MIB = 1024 * 1024;
    type Large = AsyncGenerator<{ position: number; bytes: Uint8Array }, Uint8Array>;
    const lookUpLarge = () => lookUp<[readonly number[], number?], Large>("large");

    /** What came, as `position:bytes`, with what was not the value's own bytes. */
    function shown({ position, bytes }: { position: number; bytes: Uint8Array }): string {
      const wrong = Buffer.compare(bytes, Buffer.alloc(bytes.byteLength, position + 1));
      return `${position}:${bytes.byteLength / MIB}${wrong === 0 ? "" : " broken"}`;
    }

    it("yields them in order with small ones between, and gives a large one at the end", async () => {
      const large = await lookUpLarge();
      const sizes = [40, 1, 17, 0, 17, 33];
      const stream = large.remoteGen(sizes);
      const seen: string[] = [];
      let step = await stream.next();
      for (; step.done !== true; step = await stream.next()) seen.push(shown(step.value));
      expect(seen).toEqual(sizes.map((mib, position) => `${position}:${mib}`));
      expect([step.value.byteLength, step.value[0]]).toEqual([17 * MIB, 255]);
    });

    it("makes one at a time, and none after the reader has left", async () => {
      const large = await lookUpLarge();
      const many = Array.from({ length: 60 }, () => 17);
      for await (const { position } of large.remoteGen(many)) if (position === 2) break;
      await expect
        .poll(logs, { interval: 200, timeout: 10_000 })
        .toMatch(/large ended after [3-6]/);
    });

    it("carries them from a container to a container", async () => {
      const passedOn = await lookUp<[readonly number[]], AsyncGenerator<Uint8Array, void>>(
        "passedOn",
      );
      const seen: number[] = [];
      for await (const bytes of passedOn.remoteGen([18, 17])) seen.push(bytes.byteLength / MIB);
      expect(seen).toEqual([18, 17]);
    });

    it.each(Object.entries(breakages))(
      "gives each once, in order, although %s",
      async (_, breakIt) => {
        const large = await lookUpLarge();
        const sizes = Array.from({ length: 12 }, (_size, index) => (index % 3 === 1 ? 1 : 17));
        const seen: string[] = [];
        let broken: Promise<void> | undefined;
        for await (const value of large.remoteGen(sizes, 100)) {
          seen.push(shown(value));
          if (value.position === 4) broken = breakIt();
        }
        await broken;
        expect(seen).toEqual(sizes.map((mib, position) => `${position}:${mib}`));
      },
    );
  });
});
