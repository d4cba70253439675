import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { encodeFrame, SerializationError } from "../../../sdk/protocol/index.ts";
import { TEXT_CHARACTERS_MAX, wireErrorOf } from "./wire-error.ts";

class RoomError extends Error {
  override readonly name = "RoomError";
}

describe("errors", () => {
  test("keep their name, message, cause and stack", () => {
    const error = new RoomError("no room", { cause: new Error("the box is full") });
    expect(wireErrorOf(error)).toMatchObject({
      name: "RoomError",
      message: "no room",
      stack: expect.stringMatching(/^RoomError: no room|^Error: no room/) as string,
      cause: { name: "Error", message: "the box is full" },
    });
  });

  test("lose the frames of the runner and of Node's insides, and no others", () => {
    const error = new Error("x");
    error.stack = [
      "Error: x",
      "    at work (/home/ann/app.ts:3:7)",
      "    at runOne (file:///runner/flotilla-runner.mjs:10:1)",
      "    at sandbox/runners/node/main.ts:140:5",
      "    at process.processTicksAndRejections (node:internal/process/task_queues:103:5)",
      "    at main (/home/ann/node:app.ts:9:1)",
    ].join("\n");
    expect(wireErrorOf(error).stack).toBe(
      "Error: x\n    at work (/home/ann/app.ts:3:7)\n    at main (/home/ann/node:app.ts:9:1)",
    );
  });

  test("that say what cannot be sent are marked so", () => {
    expect(wireErrorOf(new SerializationError("result.cb is a function"))).toMatchObject({
      name: "SerializationError",
      code: "not_serializable",
    });
    expect(wireErrorOf(new Error("x")).code).toBeUndefined();
  });

  test("that cause each other end somewhere", () => {
    const one = new Error("one");
    one.cause = new Error("two", { cause: one });
    let depth = 0;
    for (let error = wireErrorOf(one); error.cause !== undefined; error = error.cause) depth += 1;
    expect(depth).toBe(8);
  });
});

describe("anything else that is thrown", () => {
  test.each([
    ["a text", "a text"],
    [undefined, "undefined"],
    [5n, "5n"],
    [{ code: 7 }, "{ code: 7 }"],
  ])("%o is told as %s", (thrown, message) => {
    expect(wireErrorOf(thrown)).toEqual({ name: "Error", message });
  });
});

describe("hostile errors", () => {
  const throwing = {
    get: (): never => {
      throw new Error("never read me");
    },
  };
  const hostile: Readonly<Record<string, unknown>> = {
    "a message that is no text": Object.assign(new Error("x"), { message: 5n, name: Symbol("y") }),
    "properties that throw": Object.defineProperties(new Error("x"), {
      message: throwing,
      name: throwing,
      stack: throwing,
      cause: throwing,
    }),
    "a stack that is no text": Object.assign(new Error("x"), { stack: { at: 5n } }),
    "an inspector that throws": { [inspect.custom]: throwing.get },
    "a message without end": new Error("x".repeat(10 * TEXT_CHARACTERS_MAX)),
    "a text without end": "x".repeat(10 * TEXT_CHARACTERS_MAX),
  };

  test.each(Object.entries(hostile))("%s can be told all the same", (_, thrown) => {
    const told = wireErrorOf(thrown);
    expect(typeof told.name).toBe("string");
    expect(typeof told.message).toBe("string");
    expect(encodeFrame(told).byteLength).toBeLessThan(3 * TEXT_CHARACTERS_MAX);
  });
});
