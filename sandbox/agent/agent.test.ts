import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { settled, until } from "../fake/clock.ts";
import type { FakeLink } from "../fake/server.ts";
import type { SandboxSpec } from "../runtime/runtime.ts";
import { START } from "./test-container.ts";
import {
  CODE,
  RESOURCES,
  SHA256,
  dir,
  server,
  runtime,
  agent,
  running,
  dismissals,
  clock,
  errors,
  run,
  welcome,
  startOn,
  serve,
  toldOf,
  useTestAgent,
} from "./test-agent.ts";

useTestAgent();

describe("sandboxes kept ready", () => {
  const EXPECTED = {
    functionName: "double",
    appName: "numbers",
    codeSha256: SHA256,
    resources: { gpuCount: 0, cpuMilli: 100, memoryMiB: 128 },
    count: 1,
  };
  const PYTHON = { module: "model", handler: "f" };

  const keptNow = (): readonly SandboxSpec[] => runtime.started.map(({ spec }) => spec);

  test("a booted Node and, where there is Python, a booted Python wait for code", async () => {
    run({ readyCountMax: 4, hasPython: true });
    await welcome();
    await until(() => runtime.started.length === 2, "both are started");
    expect(keptNow().map(({ runner = "node" }) => runner)).toEqual(["node", "python"]);
  });

  test("a Python function with the usual size gets the Python that waits", async () => {
    run({ readyCountMax: 4, hasPython: true });
    const link = await welcome();
    await until(() => runtime.started.length === 2, "both are started");
    const python = runtime.started[1];
    const usual = { gpuCount: 0, cpuMilli: 125, memoryMiB: 256 };
    const container = { ...START, codeSha256: SHA256, resources: usual, python: PYTHON };
    link.say({ type: "start", container });
    await until(() => (python?.told.length ?? 0) > 0, "it is told its code");
    expect(python?.told[0]?.header).toMatchObject({ type: "boot", python: PYTHON });
  });

  test("what the server expects is started ahead, and the container gets it", async () => {
    run({ readyCountMax: 4 });
    const link = await welcome();
    await until(() => runtime.started.length === 1, "the usual one is started");
    link.say({ type: "expect", starts: [EXPECTED] });
    await until(() => runtime.started.length === 2, "the expected one is started");
    const ahead = runtime.last;
    expect(ahead.spec.resources).toEqual(EXPECTED.resources);
    expect(ahead.told).toEqual([]);
    startOn(link, "co_1");
    await toldOf(ahead, "boot");
  });

  test.each([
    ["GPUs", { resources: { ...EXPECTED.resources, gpuCount: 1 } }],
    ["an image that this node cannot have", { imageId: "im_1" }],
  ])("none is started ahead for containers with %s", async (_, changes) => {
    run({ readyCountMax: 4 });
    const link = await welcome();
    link.say({ type: "expect", starts: [{ ...EXPECTED, ...changes }] });
    await until(() => runtime.started.length === 1, "the usual one is started");
    await settled();
    expect(keptNow().map(({ resources }) => resources.memoryMiB)).toEqual([256]);
  });

  test("they go when a container needs their room, and it is not refused", async () => {
    run({ readyCountMax: 4 });
    const link = await welcome();
    await until(() => runtime.started.length === 1, "the usual one is started");
    startOn(link, "co_1", RESOURCES);
    await until(() => runtime.started.length === 2, "the container is started");
    expect(runtime.started[0]?.kills).toBe(1);
    expect(link.all("refused")).toEqual([]);
  });

  test("none is kept while memory runs short", async () => {
    run({ readyCountMax: 4, isMemoryShort: () => true });
    const link = await welcome();
    link.say({ type: "expect", starts: [EXPECTED] });
    await settled();
    await settled();
    expect(runtime.started).toEqual([]);
  });
});

describe("the link", () => {
  test("the agent says what its machine is, and comes back with its session's token", async () => {
    run({ gpuType: "H100", emulatedGpus: true });
    const link = await welcome();
    expect(link.token).toBe("join");
    expect(link.all("hello")).toMatchObject([
      {
        containers: [],
        artifacts: [SHA256],
        node: {
          nodeId: "no_1",
          resources: RESOURCES,
          gpuType: "H100",
          emulatedGpus: true,
          isolation: "gvisor",
        },
      },
    ]);
    link.cut();
    expect((await welcome(1)).token).toBe("session-0");
  });

  test("the agent says what is broken when it comes, and then only what has changed", async () => {
    run();
    agent.checked(["GPU 0 is lost"]);
    const link = await welcome();
    expect(link.all("hello")).toMatchObject([{ faults: ["GPU 0 is lost"] }]);
    agent.checked(["GPU 0 is lost"]);
    agent.checked([]);
    agent.checked([]);
    expect(await link.hear("health")).toEqual([{ type: "health", faults: [] }]);
    link.cut();
    const again = await welcome(1);
    expect(again.all("hello")[0]).not.toHaveProperty("faults");
    expect([...link.all("health"), ...again.all("health")]).toHaveLength(1);
  });

  test("a server that sends no frames is left, and asked again", async () => {
    run();
    (await server.link(0)).sayBytes(Buffer.from("hello there, agent"));
    await welcome(1);
    expect(errors).toContain("reading from the server");
  });

  test("a token that is refused again and again makes the agent give up", async () => {
    server.accepts = false;
    run();
    await running;
    expect(dismissals).toEqual(["the server refuses this agent's token"]);
    expect(server.refusals).toBe(5);
  });

  test("an agent gives up when no server has been there for longer than it may be alone", async () => {
    run({ aloneMsMax: 60_000 });
    const link = await welcome();
    const tried = async (): Promise<void> => {
      const before = errors.length;
      await until(() => errors.length > before + 2, "it tries again");
    };
    // Time with a server does not count.
    clock.now += 600_000;
    server.close();
    link.cut();
    await tried();
    clock.now += 59_999;
    await tried();
    expect(dismissals).toEqual([]);
    clock.now += 1;
    await running;
    expect(dismissals).toEqual(["no server was there for 60 s"]);
  });

  test("a goodbye dismisses the agent with its reason", async () => {
    run();
    (await welcome()).say({ type: "goodbye", reason: "this node is released" });
    await until(() => dismissals.length > 0, "the dismissal");
    expect(dismissals).toEqual(["this node is released"]);
  });
});

describe("what fits", () => {
  const refused = async (link: FakeLink, containerId: string, reason: RegExp): Promise<void> => {
    await until(
      () => link.all("refused").some((message) => message.containerId === containerId),
      `${containerId} is refused`,
    );
    const message = link.all("refused").find((one) => one.containerId === containerId);
    expect(message?.reason).toMatch(reason);
  };

  test.each([
    ["gpuCount", { gpuCount: 1 }],
    ["cpuMilli", { cpuMilli: 2_000 }],
    ["memoryMiB", { memoryMiB: 4_096 }],
  ] as const)("a node without enough %s left refuses, and takes it later", async (name, half) => {
    run();
    const link = await welcome();
    startOn(link, "co_1", half);
    startOn(link, "co_2", half);
    startOn(link, "co_3", half);
    await refused(link, "co_3", new RegExp(`^${name}: .* wanted`));
    expect(runtime.started).toHaveLength(2);
    link.say({ type: "stop", containerId: "co_1", graceMs: 0 });
    await link.hear("exited");
    startOn(link, "co_4", half);
    await until(() => runtime.started.length === 3, "it fits");
  });

  test("shares of GPUs fit on cards, not on their sum", async () => {
    run();
    const link = await welcome();
    for (const containerId of ["co_1", "co_2"]) startOn(link, containerId, { gpuCount: 0.6 });
    startOn(link, "co_3", { gpuCount: 0.8 });
    await refused(link, "co_3", /0\.8 wanted/);
    startOn(link, "co_4", { gpuCount: 0.4 });
    await until(() => runtime.started.length === 3, "the small share fits");
  });

  test("the cards named are given, told on the next connection, and refused while taken", async () => {
    run();
    const first = await welcome(0);
    startOn(first, "co_1", { gpuCount: 1 }, [1]);
    startOn(first, "co_2", { gpuCount: 0.5 }, [1]);
    await refused(first, "co_2", /^cards: 0\.5 of card 1 wanted, 0 free$/);
    startOn(first, "co_3", { gpuCount: 0.5 }, [0]);
    await until(() => runtime.started.length === 2, "both have started");
    expect(runtime.started.map(({ spec }) => spec.env["NVIDIA_VISIBLE_DEVICES"])).toEqual([
      "1",
      "0",
    ]);
    first.cut();
    const second = await welcome(1);
    expect(second.all("hello")).toMatchObject([
      {
        containers: [
          { containerId: "co_1", cards: [1] },
          { containerId: "co_3", cards: [0] },
        ],
      },
    ]);
  });

  test("a container that it has is not started twice", async () => {
    run();
    const link = await welcome();
    startOn(link, "co_1");
    startOn(link, "co_1");
    startOn(link, "co_2");
    await until(() => runtime.started.length === 2, "both have started");
    expect(runtime.started.map(({ spec }) => spec.containerId)).toEqual(["co_1", "co_2"]);
    expect(link.all("refused")).toEqual([]);
  });

  test("code that comes to the disk is told of, now and on the next connection", async () => {
    await rm(join(dir, SHA256));
    server.blobs.set(SHA256, CODE);
    run();
    const first = await welcome(0);
    expect(first.all("hello")).toMatchObject([{ artifacts: [] }]);
    startOn(first, "co_1");
    expect(await first.hear("kept")).toMatchObject([{ artifact: SHA256 }]);
    first.cut();
    expect((await welcome(1)).all("hello")).toMatchObject([{ artifacts: [SHA256] }]);
  });

  test("a container that cannot start leaves its room to the next", async () => {
    run();
    const link = await welcome();
    runtime.failure = new Error("no runsc");
    startOn(link, "co_1", { gpuCount: 2 });
    const [exited] = await link.hear("exited");
    expect(exited?.exit).toMatchObject({ containerId: "co_1", kind: "startup_failed" });
    runtime.failure = undefined;
    startOn(link, "co_2", { gpuCount: 2 });
    await until(() => runtime.started.length === 1, "it fits");
  });
});

describe("containers", () => {
  test("an exit is told, with what has no result", async () => {
    run();
    const link = await welcome();
    const sandbox = await serve(link, "a", "b");
    sandbox.end({ exitCode: 1 });
    expect(await link.hear("exited")).toMatchObject([
      { exit: { containerId: "co_1", kind: "exited", inputIds: ["a", "b"] } },
    ]);
  });

  test("cancelling and stopping reach the container that is named, and no other", async () => {
    run();
    const link = await welcome();
    const one = await serve(link, "a");
    const two = await serve(link, "b");
    link.say({ type: "cancel", containerId: "co_1", inputIds: ["a"], abortRunning: false });
    link.say({ type: "cancel", containerId: "co_none", inputIds: ["a"], abortRunning: true });
    link.say({ type: "stop", containerId: "co_2", graceMs: 0 });
    expect(await link.hear("exited")).toMatchObject([
      { exit: { containerId: "co_2", kind: "stopped", inputIds: ["b"] } },
    ]);
    await toldOf(one, "cancel");
    expect(one.told.at(-1)?.header).toEqual({ type: "cancel", inputIds: ["a"] });
    expect([one.kills, two.kills]).toEqual([0, 1]);
  });

  test("closing ends every container and starts none", async () => {
    run();
    const link = await welcome();
    const sandboxes = [await serve(link, "a"), await serve(link, "b")];
    const closing = agent.close();
    startOn(link, "co_9");
    await closing;
    await running;
    expect(sandboxes.map(({ kills }) => kills)).toEqual([1, 1]);
    expect(runtime.started).toHaveLength(2);
  });
});
