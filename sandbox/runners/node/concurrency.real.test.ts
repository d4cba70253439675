import { describe, expect, test } from "vitest";
import { decodeValue } from "../../../sdk/protocol/index.ts";
import { useTestRunner } from "./test-runner.ts";

const current = useTestRunner();

/** Every input waits until one comes that says which of them may end. */
const GATES = `
const gates = new Map();
const gateOf = (name) => {
  if (!gates.has(name)) gates.set(name, Promise.withResolvers());
  return gates.get(name);
};
export const f = async ({ wait, open, then }) => {
  for (const name of open ?? []) gateOf(name).resolve();
  if (wait !== undefined) await gateOf(wait).promise;
  return then === undefined ? wait ?? "opened" : await new Function("return " + then)()(wait);
};
`;

const boot = async (maxInputs: number): Promise<void> => {
  expect(await current.runner.boot("f", GATES, {}, maxInputs)).toMatchObject({ type: "ready" });
};

const valueOf = async (inputId: string): Promise<unknown> =>
  decodeValue((await current.runner.answer(inputId)).payload);

describe("inputs at once", () => {
  test("interleave: one that waits holds up none of the others", async () => {
    await boot(3);
    current.runner.give({ a: { wait: "a" }, b: { wait: "b" }, c: { open: ["b"] } });
    expect(await valueOf("c")).toBe("opened");
    expect(await valueOf("b")).toBe("b");
    current.runner.give({ d: { open: ["a"] } });
    expect(await valueOf("a")).toBe("a");
    expect(
      current.runner.answers
        .map(({ inputId }) => inputId)
        .slice(0, 2)
        .sort(),
    ).toEqual(["b", "c"]);
  });

  test("are never more than may be, and the next begins when one ends", async () => {
    await boot(2);
    current.runner.give({ a: { wait: "a" }, b: { wait: "b" }, c: { open: ["a", "b"] } });
    current.runner.say({ type: "cancel", inputIds: ["a", "c"] });
    expect(await current.runner.answer("c")).toMatchObject({ outcome: "returned" });
    expect(current.runner.answers).toHaveLength(1);
  });

  test("come back with a share of the time that is less than the whole", async () => {
    await boot(4);
    current.runner.give({ a: { wait: "a" }, b: { wait: "b" }, c: { open: ["a", "b"] } });
    const answers = await Promise.all(
      ["a", "b", "c"].map((inputId) => current.runner.answer(inputId)),
    );
    for (const { runMs, busyMs = Infinity } of answers) expect(busyMs).toBeLessThanOrEqual(runMs);
  });

  test("of plain functions are all answered, however many come", async () => {
    await current.runner.boot("f", "export const f = (x) => x * 2;", {}, 8);
    const inputs = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, index) => [`i${index}`, index]),
    );
    current.runner.give(inputs);
    expect(await valueOf("i1999")).toBe(3_998);
    for (let index = 0; index < 2_000; index += 1)
      expect(await valueOf(`i${index}`)).toBe(2 * index);
  });
});

describe("what happens while several run is laid to the right one", () => {
  test("lines", async () => {
    await boot(3);
    const print = "async (who) => { console.log(who, 1); await 0; console.log(who, 2); }";
    current.runner.give({
      a: { wait: "a", then: print },
      b: { wait: "b", then: print },
      c: { open: ["a", "b"] },
    });
    await Promise.all(["a", "b"].map((inputId) => current.runner.answer(inputId)));
    for (const { text, inputId } of current.runner.lines) expect(text.charAt(0)).toBe(inputId);
    expect(current.runner.lines).toHaveLength(4);
  });

  test("errors, also those of timers and of promises that nobody awaits", async () => {
    await boot(4);
    const hang = "await new Promise(() => undefined)";
    const timer = `async () => { setTimeout(() => { throw new Error("of a") }, 1); ${hang} }`;
    const stray = `async () => { void Promise.reject(new Error("of b")); ${hang} }`;
    current.runner.give({
      a: { wait: "a", then: timer },
      b: { wait: "b", then: stray },
      c: { wait: "c" },
      d: { open: ["a", "b"] },
    });
    for (const inputId of ["a", "b"]) {
      expect(await current.runner.answer(inputId)).toMatchObject({
        outcome: "failed",
        error: { message: `of ${inputId}` },
      });
    }
    current.runner.give({ e: { open: ["c"] } });
    expect(await valueOf("c")).toBe("c");
  });

  test("an exit", async () => {
    await boot(3);
    current.runner.give({
      a: { wait: "a" },
      b: { wait: "b", then: "() => process.exit(7)" },
      c: { open: ["b"] },
    });
    const exiting = await current.runner.hear(({ type }) => type === "exiting");
    expect(exiting).toEqual({ type: "exiting", exitCode: 7, inputId: "b" });
  });
});
