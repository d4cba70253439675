import { describe, expect, test } from "vitest";
import { decodeValue } from "../../../sdk/protocol/index.ts";
import { useTestRunner } from "./test-runner.ts";

const current = useTestRunner();

/** A function that answers with what happened so far, and hooks that take note of themselves. */
const HOOKED = `
const log = [];
export const hooked = async (wait) => {
  const input = globalThis[Symbol.for("flotilla.container")].currentInput();
  if (wait === "signal") {
    await new Promise((resolve) => input.signal.addEventListener("abort", resolve));
    console.log("stopped: " + input.signal.reason.message);
    throw input.signal.reason;
  }
  if (wait === "finish") {
    await new Promise((resolve) => input.signal.addEventListener("abort", resolve));
    return "finished";
  }
  return log;
};
hooked.program = {
  construct: (params) => log.push("construct " + params.length),
  enter: async (snapshot) => log.push("enter " + snapshot),
  exits: [
    async () => { console.log("exit one"); throw new Error("of one"); },
    async () => { await 0; console.log("exit two"); },
  ],
};
`;

const texts = (): readonly string[] => current.runner.lines.map(({ text }) => text);

describe("a program with hooks", () => {
  test("is built, entered for the snapshot and then again, and ready only after that", async () => {
    expect(await current.runner.boot("hooked", HOOKED)).toMatchObject({
      type: "ready",
      leaves: true,
    });
    current.runner.give({ a: "log" });
    const { payload } = await current.runner.answer("a");
    expect(decodeValue(payload)).toEqual(["construct 0", "enter true", "enter false"]);
  });

  test("whose enter hook fails does not load, and says why", async () => {
    const source = `export const f = () => 1;
f.program = { enter: async (snapshot) => { if (!snapshot) throw new RangeError("no disk"); } };`;
    expect(await current.runner.boot("f", source)).toMatchObject({
      type: "load_failed",
      error: { name: "RangeError", message: "no disk" },
    });
  });

  test("runs all its exit hooks when it is to leave, one that fails too, and ends", async () => {
    await current.runner.boot("hooked", HOOKED);
    current.runner.say({ type: "leave" });
    expect(await current.runner.exited).toMatchObject({ exitCode: 0 });
    expect(texts().filter((text) => text.startsWith("exit"))).toEqual(["exit one", "exit two"]);
    expect(texts().join()).toContain("of one");
  });

  test("tells its running input and reports only what succeeds from then on", async () => {
    await current.runner.boot("hooked", HOOKED, {}, 3);
    current.runner.give({ a: "signal", b: "finish", c: "log" });
    await current.runner.answer("c");
    current.runner.say({ type: "leave" });
    await current.runner.exited;
    const answered = current.runner.answers.map(({ inputId, outcome }) => [inputId, outcome]);
    expect(answered).toEqual([
      ["c", "succeeded"],
      ["b", "succeeded"],
    ]);
    expect(texts()).toContain("stopped: the container ends; the input runs again elsewhere");
  });
});

test("an input that is cancelled is told by its signal, and others go on", async () => {
  await current.runner.boot("hooked", HOOKED, {}, 2);
  current.runner.give({ a: "signal", b: "finish" });
  current.runner.say({ type: "abort", inputIds: ["a", "unknown"] });
  expect(await current.runner.answer("a")).toMatchObject({
    outcome: "failed",
    error: { name: "AbortError", message: "the call was cancelled" },
  });
  expect(current.runner.answers).toHaveLength(1);
  current.runner.say({ type: "abort", inputIds: ["b"] });
  expect(await current.runner.answer("b")).toMatchObject({ outcome: "succeeded" });
});
