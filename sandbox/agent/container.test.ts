import { describe, expect, test } from "vitest";
import { encodeFrame, FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from "../../sdk/protocol/index.ts";
import { settled } from "../fake/clock.ts";
import { gpuEnvironmentOf } from "./gpu-environment.ts";
import { CODE, START, TestContainer } from "./test-container.ts";

describe("starting", () => {
  test("the runner is told its function, its environment and its code, and nothing before", async () => {
    const one = new TestContainer();
    await one.start();
    expect(one.sandbox.spec).toEqual({
      containerId: "co_1",
      resources: START.resources,
      env: { PATH: "/bin", HOME: "/tmp", TMPDIR: "/tmp", ...gpuEnvironmentOf([], "gvisor") },
    });
    expect(one.sandbox.told).toMatchObject([
      {
        header: {
          type: "boot",
          functionName: "double",
          appName: "numbers",
          env: { MODE: "test", FLOTILLA_CONTAINER_ID: "co_1" },
        },
        body: Buffer.from(CODE),
      },
    ]);
    expect(one.container.held).toMatchObject({ state: "starting", inputIds: [] });
  });

  test("Python is started as that, with the paths of any Linux, and told where its function is", async () => {
    const python = { module: "model", handler: "Model.predict" };
    const one = new TestContainer(undefined, { python });
    await one.start();
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin" };
    expect(one.sandbox.spec).toMatchObject({ runner: "python", env });
    expect(one.sandbox.told[0]?.header).toMatchObject({ type: "boot", python, env });
  });

  test("the parameters of a class come behind its code", async () => {
    const one = new TestContainer(undefined, {}, Uint8Array.from([7, 8]));
    await one.start();
    expect(one.sandbox.told).toMatchObject([
      { header: { type: "boot", paramsBytes: 2 }, body: Buffer.from([...CODE, 7, 8]) },
    ]);
  });

  test("its cards are told to the sandbox and to the user's code, whatever that asks for", async () => {
    const env = { NVIDIA_VISIBLE_DEVICES: "all", MODE: "test" };
    const one = new TestContainer(undefined, { cards: [3, 1], env });
    await one.start();
    const told = gpuEnvironmentOf([3, 1], "gvisor");
    expect(one.sandbox.spec.env).toMatchObject(told);
    expect(one.sandbox.told[0]?.header).toMatchObject({ env: { ...told, MODE: "test" } });
    expect(one.container.held).toMatchObject({ cards: [3, 1] });
  });

  test("it is ready once, and tells how long that took", async () => {
    const one = new TestContainer();
    await one.start();
    one.clock.now += 250;
    for (const message of [{ type: "ready" }, { type: "ready" }] as const) one.sandbox.say(message);
    await settled();
    expect(one.reported.ready).toEqual([250]);
    expect(one.container.held).toMatchObject({ state: "ready" });
  });

  test("a sandbox that cannot be started ends as a failed start that says why", async () => {
    const one = new TestContainer();
    one.runtime.failure = new Error("runsc is missing");
    await one.start();
    await one.running;
    expect(one.reported.exits).toEqual([
      {
        containerId: "co_1",
        kind: "startup_failed",
        message: "the container could not start: runsc is missing",
        inputIds: [],
      },
    ]);
  });

  test("code that cannot be fetched ends the sandbox, also one that starts later", async () => {
    const one = new TestContainer(() => Promise.reject(new Error("fetching c0de gave HTTP 404")));
    const gate = Promise.withResolvers<undefined>();
    one.runtime.gate = gate.promise;
    await one.start();
    expect(one.reported.exits).toEqual([]);
    gate.resolve(undefined);
    await one.running;
    expect(one.sandbox.kills).toBe(1);
    expect(one.reported.exits).toMatchObject([
      { kind: "startup_failed", message: expect.stringContaining("HTTP 404") as string },
    ]);
  });

  test("a module that does not load is told with the user's own error", async () => {
    const one = new TestContainer();
    await one.start();
    const error = { name: "TypeError", message: "x is no function" };
    one.sandbox.say({ type: "load_failed", error });
    await one.running;
    expect(one.reported.exits).toMatchObject([
      {
        kind: "startup_failed",
        message: "the function's code did not load: x is no function",
        error,
      },
    ]);
  });

  test("a start that takes too long is ended, one that does not is not", async () => {
    const one = new TestContainer();
    await one.start();
    await one.pass(START.startupTimeoutMs);
    expect(one.sandbox.kills).toBe(0);
    await one.pass(1);
    await one.running;
    expect(one.reported.exits).toMatchObject([
      { kind: "startup_failed", message: "the function's code did not load within 5000 ms" },
    ]);
  });
});

describe("inputs and results", () => {
  test("inputs reach the runner with their payloads, and results come back with theirs", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    expect(one.sandbox.told.at(-1)).toEqual({
      header: {
        type: "inputs",
        inputs: [
          { inputId: "a", bytes: 1 },
          { inputId: "b", bytes: 1 },
        ],
      },
      body: Buffer.from([0, 1]),
    });
    expect(one.container.held.inputIds).toEqual(["a", "b"]);
    await one.answer("a", "b");
    expect(one.reported.results).toEqual([
      { inputId: "a", outcome: "succeeded", bytes: 1, runMs: 2 },
      { inputId: "b", outcome: "succeeded", bytes: 1, runMs: 2 },
    ]);
    expect(one.reported.payloads.map((bytes) => [...bytes])).toEqual([[0], [1]]);
    expect(one.container.held.inputIds).toEqual([]);
  });

  test("results of inputs that it does not have are dropped, a second one too", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    await one.answer("a", "stranger");
    await one.answer("a");
    expect(one.reported.results.map(({ inputId }) => inputId)).toEqual(["a"]);
  });

  test("a result that is too large fails its input and no other", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    const bytes = PAYLOAD_BYTES_MAX + 1;
    one.sandbox.say(
      {
        type: "results",
        results: [
          { inputId: "a", outcome: "succeeded", bytes, runMs: 2 },
          { inputId: "b", outcome: "succeeded", bytes: 1, runMs: 2 },
        ],
      },
      [new Uint8Array(bytes), Uint8Array.of(7)],
    );
    await settled();
    expect(one.reported.results).toMatchObject([
      {
        inputId: "a",
        outcome: "failed",
        bytes: 0,
        error: { name: "PayloadTooLargeError", code: "payload_too_large" },
      },
      { inputId: "b", outcome: "succeeded", bytes: 1 },
    ]);
    expect(one.reported.payloads.map(({ byteLength }) => byteLength)).toEqual([0, 1]);
    expect(one.sandbox.kills).toBe(0);
  });

  test("what it has without a result is named in its exit", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b", "c");
    await one.answer("a");
    one.sandbox.end({ exitCode: 1 });
    await one.running;
    expect(one.reported.exits).toMatchObject([
      { kind: "exited", exitCode: 1, inputIds: ["b", "c"] },
    ]);
    expect(one.reported.results).toHaveLength(1);
  });

  test("an input that was alone when the container died fails for it, and is in no exit", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    one.clock.now += 40;
    one.sandbox.end({ exitCode: 137, outOfMemory: true });
    await one.running;
    expect(one.reported.results).toMatchObject([
      { inputId: "a", outcome: "failed", runMs: 40, error: { code: "out_of_memory" } },
    ]);
    expect(one.reported.exits).toMatchObject([{ kind: "out_of_memory", inputIds: [] }]);
  });

  test("the input that called exit fails, and the one behind it is given back", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    one.sandbox.say({ type: "exiting", exitCode: 4, inputId: "a" });
    await settled();
    one.sandbox.end({ exitCode: 4 });
    await one.running;
    expect(one.reported.results).toMatchObject([
      { inputId: "a", outcome: "failed", error: { code: "container_exited" } },
    ]);
    expect(one.reported.exits).toMatchObject([{ kind: "exited", inputIds: ["b"] }]);
  });
});

describe("time limits of inputs", () => {
  test("an input that runs past its limit fails, and those behind it are given back", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    await one.pass(START.timeoutMs + 100);
    expect(one.sandbox.kills).toBe(0);
    await one.pass(1);
    await one.running;
    expect(one.reported.results).toMatchObject([
      { inputId: "a", outcome: "failed", error: { name: "TimeoutError", code: "timed_out" } },
    ]);
    expect(one.reported.exits).toMatchObject([{ kind: "timed_out", inputIds: ["b"] }]);
  });

  test("each input has the whole limit for itself", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    await one.pass(900);
    await one.answer("a");
    await one.pass(900);
    expect(one.sandbox.kills).toBe(0);
    await one.pass(300);
    expect(one.sandbox.kills).toBe(1);
  });

  test("a container without inputs may be idle as long as it likes", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    await one.answer("a");
    await one.pass(100 * START.timeoutMs);
    one.push("b");
    await one.pass(START.timeoutMs);
    expect(one.sandbox.kills).toBe(0);
  });

  test("giving back what waits behind a running input gives that one no more time", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    await one.pass(900);
    one.container.cancel(["b"], false);
    one.sandbox.say({
      type: "results",
      results: [{ inputId: "b", outcome: "returned", bytes: 0, runMs: 0 }],
    });
    await settled();
    await one.pass(300);
    await one.running;
    expect(one.reported.exits).toMatchObject([{ kind: "timed_out", inputIds: [] }]);
  });
});

describe("cancelling and stopping", () => {
  test("inputs that have not begun are asked back from the runner", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    one.container.cancel(["b"], true);
    await settled();
    expect(one.sandbox.told.at(-1)?.header).toEqual({ type: "cancel", inputIds: ["b"] });
    expect(one.sandbox.kills).toBe(0);
  });

  test("a running input is told to stop only when that is asked, and has half a second", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    one.container.cancel(["a", "b"], false);
    await one.pass(600);
    expect(one.sandbox.kills).toBe(0);
    one.container.cancel(["a"], true);
    await one.pass(400);
    expect(one.sandbox.told.at(-1)?.header).toEqual({ type: "abort", inputIds: ["a"] });
    expect(one.sandbox.kills).toBe(0);
    await one.pass(100);
    await one.running;
    expect(one.reported.results).toEqual([]);
    expect(one.reported.exits).toMatchObject([{ kind: "stopped", inputIds: ["a", "b"] }]);
  });

  test("a container whose input stops when it is told to goes on", async () => {
    const one = new TestContainer();
    await one.startWith("a", "b");
    one.container.cancel(["a"], true);
    await one.answer("a");
    await one.pass(700);
    expect(one.sandbox.kills).toBe(0);
    await one.answer("b");
    expect(one.reported.results.map(({ inputId }) => inputId)).toEqual(["a", "b"]);
  });

  test("a stop before the sandbox has started ends it as soon as it has", async () => {
    const one = new TestContainer();
    const gate = Promise.withResolvers<undefined>();
    one.runtime.gate = gate.promise;
    await one.start();
    one.container.stop();
    gate.resolve(undefined);
    await one.running;
    expect(one.sandbox.kills).toBeGreaterThan(0);
    expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
  });

  test("a stop does not wait for code that never comes", async () => {
    const one = new TestContainer(() => new Promise(() => undefined));
    await one.start();
    one.container.stop();
    await one.running;
    expect(one.reported.exits).toMatchObject([{ kind: "stopped" }]);
  });

  test("it reports one exit, whatever ends it how often", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    one.container.stop();
    one.container.stop();
    await one.pass(10 * START.timeoutMs);
    await one.running;
    expect(one.reported.exits).toHaveLength(1);
    expect(one.reported.exits).toMatchObject([{ kind: "stopped", inputIds: ["a"] }]);
  });
});

describe("a runner that breaks the protocol", () => {
  const breaches: Readonly<Record<string, Uint8Array>> = {
    "no frame": Buffer.alloc(64, 0xff),
    "a frame that is too large": frameOf(FRAME_BYTES_MAX + 1),
    "a header that is no JSON": Buffer.concat([frameOf(6), Buffer.from("{{")]),
    "no message": encodeFrame(null),
    "an unknown message": encodeFrame({ type: "shutdown" }),
    "results that are none": encodeFrame({ type: "results", results: "all" }),
    "a time that is no number": encodeFrame({
      type: "results",
      results: [{ inputId: "a", outcome: "succeeded", bytes: 0, runMs: null }],
    }),
    "payloads that are not there": encodeFrame({
      type: "results",
      results: [{ inputId: "a", outcome: "succeeded", bytes: 9, runMs: 1 }],
    }),
    "lines that are no texts": encodeFrame({
      type: "logs",
      lines: [{ stream: "stdout", text: 5 }],
      droppedBytes: 0,
    }),
  };

  test.each(Object.entries(breaches))("is ended for %s, and only it", async (_, bytes) => {
    const broken = new TestContainer();
    const sound = new TestContainer();
    await broken.startWith("a", "b");
    await sound.startWith("a");
    broken.sandbox.sayBytes(bytes);
    await broken.running;
    expect(broken.reported.results).toEqual([]);
    expect(broken.reported.exits).toMatchObject([{ kind: "exited", inputIds: ["a", "b"] }]);
    expect(broken.reported.exits[0]?.message).toMatch(/its runner broke the protocol: ./);
    await sound.answer("a");
    expect(sound.reported.results).toHaveLength(1);
    expect(sound.reported.exits).toEqual([]);
  });

  test("is not listened to after that", async () => {
    const one = new TestContainer();
    await one.startWith("a");
    one.sandbox.sayBytes(Buffer.alloc(64, 0xff));
    await one.answer("a");
    await one.running;
    expect(one.reported.results).toMatchObject([{ inputId: "a", outcome: "failed" }]);
  });
});

/** The prefix of a frame of `total` bytes with a header of two. */
function frameOf(total: number): Uint8Array {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(total, 0);
  prefix.writeUInt32LE(2, 4);
  return prefix;
}
