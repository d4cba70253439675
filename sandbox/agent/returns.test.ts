import { describe, expect, test } from "vitest";
import { settled, until } from "../fake/clock.ts";
import type { FakeSandbox } from "../fake/runtime.ts";
import { START } from "./test-container.ts";
import { server, run, welcome, serve, answer, useTestAgent } from "./test-agent.ts";

useTestAgent();

/** An input that gets its result between the loss of one link and the welcome on the next. */
async function answerWhileDown() {
  run();
  const first = await welcome(0);
  const sandbox = await serve(first, "a");
  first.cut();
  const second = await server.link(1);
  answer(sandbox, "a", Uint8Array.of(7));
  await settled();
  return { second, sandbox };
}

describe("results", () => {
  test("a result that was not acknowledged is told and sent again, until it is", async () => {
    run();
    const first = await welcome(0);
    const sandbox = await serve(first, "a", "b");
    answer(sandbox, "a", Uint8Array.of(7));
    await first.hear("results");
    first.cut();
    const second = await welcome(1);
    expect(second.all("hello")).toMatchObject([
      { containers: [{ containerId: "co_1", state: "ready", inputIds: ["b", "a"] }] },
    ]);
    expect(await second.hear("results")).toMatchObject([
      { containerId: "co_1", results: [{ inputId: "a", outcome: "succeeded", bytes: 1 }] },
    ]);
    const { body } = second.heard.find(({ message }) => message.type === "results") ?? {};
    expect(body).toEqual(Buffer.from([7]));
    second.say({ type: "ack", inputIds: ["a"] });
    answer(sandbox, "b", Uint8Array.of(8));
    await second.hear("results", 2);
    second.cut();
    const third = await welcome(2);
    const sent = (await third.hear("results")).flatMap(({ results }) => results);
    expect(sent.map(({ inputId }) => inputId)).toEqual(["b"]);
  });

  test("a result that came while the link was down is sent on the next one", async () => {
    const { second } = await answerWhileDown();
    await welcome(1);
    expect(await second.hear("results")).toMatchObject([{ results: [{ inputId: "a" }] }]);
  });

  test("the result of a container that has ended meanwhile is sent too", async () => {
    const { second, sandbox } = await answerWhileDown();
    sandbox.end({ exitCode: 0 });
    await settled();
    await welcome(1);
    expect(second.all("hello")).toMatchObject([{ containers: [] }]);
    expect(await second.hear("results")).toMatchObject([{ containerId: "co_1" }]);
  });
});

describe("lines", () => {
  const print = (sandbox: FakeSandbox, text: string): void =>
    sandbox.say({ type: "logs", lines: [{ stream: "stdout", text }], droppedBytes: 0 });

  test("those that came while the link was down are sent on the next one, in order", async () => {
    run();
    const first = await welcome(0);
    const sandbox = await serve(first, "a");
    print(sandbox, "kept");
    print(sandbox, "unsaid");
    await first.hear("logs", 2);
    first.say({ type: "logged", containerId: "co_1", sequence: 1 });
    print(sandbox, "last");
    await first.hear("logs", 3);
    first.cut();
    const second = await server.link(1);
    print(sandbox, "down");
    await settled();
    sandbox.end({ exitCode: 0 });
    await settled();
    await welcome(1);
    await until(
      () => second.all("logs").flatMap(({ lines }) => lines).length >= 3,
      "the lines are sent again",
    );
    const again = second.all("logs");
    expect(again.every(({ functionId }) => functionId === START.functionId)).toBe(true);
    expect(again.flatMap(({ lines }) => lines).map(({ text }) => text)).toEqual([
      "unsaid",
      "last",
      "down",
    ]);
  });
});
