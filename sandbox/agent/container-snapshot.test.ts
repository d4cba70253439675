/** A container of a function that asks for memory snapshots. */
import { describe, expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import { FakeSandbox } from "../fake/runtime.ts";
import { encodeFrame } from "../../sdk/protocol/index.ts";
import type { EnteredSandbox, MemorySnapshots } from "../snapshots/snapshots.ts";
import { CODE, START, TestContainer } from "./test-container.ts";

const ASKS = { snapshotId: "a".repeat(64) };
const ENTERED = encodeFrame({ type: "entered" }, []);
const READY = encodeFrame({ type: "ready" }, []);

/** The two methods that a container uses. */
class TestSnapshots implements Pick<MemorySnapshots, "restore" | "consider"> {
  readonly asked: Parameters<MemorySnapshots["restore"]>[] = [];
  considered = 0;
  found: Promise<EnteredSandbox | undefined> = Promise.resolve(undefined);

  restore(...asked: Parameters<MemorySnapshots["restore"]>): Promise<EnteredSandbox | undefined> {
    this.asked.push(asked);
    return this.found;
  }

  consider(): void {
    this.considered += 1;
  }
}

function containerOn(snapshots: TestSnapshots, start: object = ASKS): TestContainer {
  return new TestContainer(undefined, start, undefined, { snapshots });
}

describe("starting cold", () => {
  test("the code is loaded before it gets an environment, which comes with fresh entropy", async () => {
    const snapshots = new TestSnapshots();
    const one = containerOn(snapshots);
    await one.start();
    const { sandbox } = one;
    expect(sandbox.told).toMatchObject([{ header: { type: "load" }, body: Buffer.from(CODE) }]);
    expect(JSON.stringify(sandbox.told[0]?.header)).not.toContain("MODE");
    sandbox.say({ type: "loaded" });
    await settled();
    expect(sandbox.told[1]).toMatchObject({
      header: { type: "enter", env: { MODE: "test", FLOTILLA_CONTAINER_ID: "co_1" } },
    });
    expect(sandbox.told[1]?.body).toHaveLength(64);
    sandbox.say({ type: "entered" });
    sandbox.say({ type: "ready" });
    await settled();
    expect(one.reported.ready).toHaveLength(1);
    expect(one.reported.restored).toEqual([false]);
    expect(snapshots.considered).toBe(1);
  });

  test("what stands in the way of a snapshot is told in its log, and it runs all the same", async () => {
    const one = containerOn(new TestSnapshots());
    await one.start();
    one.sandbox.say({ type: "loaded", obstacle: "2 connection(s) are open" });
    one.sandbox.say({ type: "ready" });
    await settled();
    one.sandbox.end({ exitCode: 0 });
    await one.running;
    expect(one.reported.lines).toMatchObject([
      { stream: "stderr", text: expect.stringContaining("2 connection(s) are open") as string },
    ]);
    expect(one.reported.ready).toHaveLength(1);
  });

  test("a function that does not ask is booted at once and makes no snapshot", async () => {
    const snapshots = new TestSnapshots();
    const one = containerOn(snapshots, {});
    await one.start();
    one.sandbox.say({ type: "ready" });
    await settled();
    expect(one.sandbox.told).toMatchObject([{ header: { type: "boot" } }]);
    expect(snapshots.asked).toEqual([]);
    expect(snapshots.considered).toBe(0);
  });
});

describe("restored", () => {
  const restored = (
    ...heard: readonly Uint8Array[]
  ): EnteredSandbox & { sandbox: FakeSandbox } => ({
    sandbox: new FakeSandbox({ containerId: "co_1", resources: START.resources, env: {} }),
    heard,
  });

  test("it is asked for with its environment, and nothing is started beside it", async () => {
    const snapshots = new TestSnapshots();
    const { sandbox, heard } = restored(ENTERED, READY);
    snapshots.found = Promise.resolve({ sandbox, heard });
    const one = containerOn(snapshots);
    await one.start();
    expect(snapshots.asked[0]?.[2]).toMatchObject({ MODE: "test", FLOTILLA_CONTAINER_ID: "co_1" });
    expect(one.runtime.started).toEqual([]);
    expect(one.reported.restored).toEqual([true]);
    expect(snapshots.considered).toBe(0);
    one.push("in_1");
    await settled();
    expect(sandbox.told).toMatchObject([{ header: { type: "inputs" } }]);
  });

  test("what the runner said while it was asked is not lost, though it was cut in pieces", async () => {
    const snapshots = new TestSnapshots();
    const line = { stream: "stdout", text: "entering" } as const;
    const logs = encodeFrame({ type: "logs", lines: [line], droppedBytes: 0 }, []);
    const said = Buffer.concat([ENTERED, logs, READY]);
    const { sandbox } = restored();
    sandbox.channel.pause();
    snapshots.found = Promise.resolve({
      sandbox,
      heard: [said.subarray(0, 5), said.subarray(5, 80)],
    });
    const one = containerOn(snapshots);
    sandbox.sayBytes(said.subarray(80));
    await one.start();
    await settled();
    expect(one.reported.restored).toEqual([true]);
    sandbox.end({ exitCode: 0 });
    await one.running;
    expect(one.reported.lines).toMatchObject([{ text: "entering" }]);
  });

  test("an error of the user's own after the restore is the user's, and no second start", async () => {
    const snapshots = new TestSnapshots();
    const error = { name: "Error", message: "no database" };
    const { sandbox, heard } = restored(ENTERED, encodeFrame({ type: "load_failed", error }, []));
    snapshots.found = Promise.resolve({ sandbox, heard });
    const one = containerOn(snapshots);
    await one.start();
    await one.running;
    expect(one.reported.exits).toMatchObject([{ kind: "startup_failed", error }]);
    expect(one.runtime.started).toEqual([]);
  });

  test("one that is stopped meanwhile is ended as soon as it is there", async () => {
    const snapshots = new TestSnapshots();
    const gate = Promise.withResolvers<EnteredSandbox>();
    snapshots.found = gate.promise;
    const one = containerOn(snapshots);
    await one.start();
    one.container.stop();
    const { sandbox, heard } = restored(ENTERED, READY);
    gate.resolve({ sandbox, heard });
    await one.running;
    expect(sandbox.kills).toBe(1);
    expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
  });

  test("one that is stopped while its restore fails does not start cold", async () => {
    const snapshots = new TestSnapshots();
    const gate = Promise.withResolvers<undefined>();
    snapshots.found = gate.promise;
    const one = containerOn(snapshots);
    await one.start();
    one.container.stop();
    gate.resolve(undefined);
    await one.running;
    expect(one.runtime.started).toEqual([]);
    expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
  });
});
