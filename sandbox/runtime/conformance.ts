/**
 * What every runtime must do, as one suite that all of them run.
 *
 * A bench is a runtime whose containers run the guest of `guest.ts` in the place of the runner,
 * with the handle that no port method gives: what a container has left on the machine.
 */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assert } from "../../core/index.ts";
import { GuestSandbox } from "./guest-sandbox.ts";
import type { Runtime, SandboxSpec } from "./runtime.ts";

export interface RuntimeBench {
  readonly runtime: Runtime;
  /** What there is of a container on this machine: processes, mounts, groups, files. */
  traces(containerId: string): Promise<readonly string[]>;
  /** Removes all that the bench made. */
  close(): Promise<void>;
}

/** What the tests do with the bench of the present test. */
export interface OpenRuntime {
  readonly bench: () => RuntimeBench;
  /** Starts a container and waits for its first word; ended after the test. */
  readonly start: (changes?: Partial<SandboxSpec>) => Promise<GuestSandbox>;
  /** Starts a container and does not wait. */
  readonly begin: (changes?: Partial<SandboxSpec>) => Promise<GuestSandbox>;
}

const RESOURCES = { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 };
const BIG_BYTES = 8 * 1024 * 1024;

/** Declares the suite for one runtime, and what it promises beyond it. */
export function testRuntime(
  name: string,
  open: () => Promise<RuntimeBench>,
  testMore: (runtime: OpenRuntime) => void,
): void {
  describe(`runtime ${name}`, () => {
    let bench: RuntimeBench | undefined;
    let count = 0;
    const started: GuestSandbox[] = [];
    beforeEach(async () => {
      bench = await open();
    });
    afterEach(async () => {
      for (const guest of started.splice(0)) await guest.end();
      await bench?.close();
    });
    const current = (): RuntimeBench => {
      assert(bench !== undefined, "the bench is opened before each test");
      return bench;
    };
    const begin: OpenRuntime["begin"] = async (changes = {}) => {
      count += 1;
      const containerId = `co_${process.pid}_${count}`;
      const spec = { containerId, resources: RESOURCES, env: { PATH: "/bin" }, ...changes };
      const guest = new GuestSandbox(containerId, await current().runtime.start(spec));
      started.push(guest);
      return guest;
    };
    const start: OpenRuntime["start"] = async (changes) => {
      const guest = await begin(changes);
      expect(await guest.answer()).toBe("started");
      return guest;
    };
    const runtime = { bench: current, begin, start };
    testChannel(runtime);
    testEnds(runtime);
    testKills(runtime);
    testMore(runtime);
  });
}

function testChannel({ start }: OpenRuntime): void {
  it("starts the runner with a channel that carries both directions at once", async () => {
    const guest = await start();
    const big = "ü".repeat(BIG_BYTES / 2);
    const asked = ["one", big, "three"].map((value) => guest.ask("echo", value));
    expect((await Promise.all(asked)).map(String).map(({ length }) => length)).toEqual([
      3,
      big.length,
      5,
    ]);
  });

  it("keeps standard output and standard error apart, and both apart from the channel", async () => {
    const guest = await start();
    expect(await guest.ask("print", { stdout: "out\n", stderr: "err\n" })).toBe("printed");
    await guest.ask("exit", 0).catch(() => undefined);
    await guest.exited;
    expect(guest.stdout).toBe("out\n");
    expect(guest.stderr).toBe("err\n");
  });

  it("gives the environment it was told, and nothing of this process's", async () => {
    const guest = await start({ env: { PATH: "/bin", GREETING: "grüß dich = x" } });
    const env = await guest.ask("env");
    expect(env).toMatchObject({ PATH: "/bin", GREETING: "grüß dich = x" });
    const allowed = ["PATH", "GREETING", "HOME", "TMPDIR"];
    expect(Object.keys(env as object).filter((name) => !allowed.includes(name))).toEqual([]);
  });

  it("runs containers next to each other, each with its own channel", async () => {
    const guests = await Promise.all([start(), start()]);
    expect(await Promise.all(guests.map((guest, at) => guest.ask("echo", at)))).toEqual([0, 1]);
  });
}

function testEnds({ bench, start }: OpenRuntime): void {
  it("tells the exit code, and leaves nothing", async () => {
    const guest = await start();
    expect(await bench().traces(guest.containerId)).not.toEqual([]);
    await guest.ask("exit", 3).catch(() => undefined);
    expect(await guest.exited).toEqual({ exitCode: 3, signal: undefined, outOfMemory: false });
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("ends a runner whose channel is cut, as a dying agent cuts it", async () => {
    const guest = await start();
    guest.cut();
    expect(await guest.exited).toMatchObject({ exitCode: 0, outOfMemory: false });
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("ends what the container started with it, though it holds the output open", async () => {
    const guest = await start();
    await guest.ask("child", "setInterval(() => {}, 1000)");
    await guest.ask("exit", 0).catch(() => undefined);
    expect(await guest.exited).toMatchObject({ exitCode: 0 });
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("lets a program that has no heap left say so before it ends", async () => {
    const guest = await start({ resources: { ...RESOURCES, memoryMiB: 64 } });
    await guest.ask("heap").catch(() => undefined);
    const { exitCode, signal } = await guest.exited;
    expect(signal === "SIGABRT" || exitCode === 134).toBe(true);
    expect(guest.stderr).toMatch(/JavaScript heap out of memory/);
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });
}

function testKills({ bench, begin, start }: OpenRuntime): void {
  it("kills a container that listens to nobody, and leaves nothing", async () => {
    const guest = await start();
    const spinning = guest.ask("spin").catch(() => "gone");
    guest.kill();
    expect(await guest.exited).toMatchObject({ outOfMemory: false });
    expect(await spinning).toBe("gone");
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("kills a container that has only begun to start, and leaves nothing", async () => {
    const guest = await begin();
    guest.kill();
    expect(await guest.exited).toMatchObject({ outOfMemory: false });
    expect(await bench().traces(guest.containerId)).toEqual([]);
  });

  it("takes a second kill, and one after the end, for what they are: nothing", async () => {
    const guest = await start();
    guest.kill();
    guest.kill();
    const exit = await guest.exited;
    guest.kill();
    expect(await guest.exited).toBe(exit);
  });

  it("uses the name of a container again once it is gone", async () => {
    const first = await start({ containerId: "co_again" });
    first.kill();
    await first.exited;
    const second = await start({ containerId: "co_again" });
    expect(await second.ask("echo", 2)).toBe(2);
  });
}
