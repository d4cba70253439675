import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkMessage, ProtocolError } from "./check-message.ts";
import type { FromRunner } from "./protocol.ts";

const ERROR = {
  name: "RangeError",
  message: "full",
  stack: "at x",
  cause: { name: "E", message: "m" },
};

describe("messages of the protocol", () => {
  const messages: readonly FromRunner[] = [
    { type: "ready" },
    { type: "ready", leaves: true, loadMs: 12, enterMs: 3 },
    { type: "load_failed", error: ERROR },
    { type: "exiting", exitCode: 3 },
    { type: "exiting", exitCode: 3, inputId: "a" },
    {
      type: "results",
      results: [
        { inputId: "a", outcome: "succeeded", bytes: 3, runMs: 0.5 },
        {
          inputId: "b",
          outcome: "failed",
          bytes: 0,
          runMs: 1,
          error: { ...ERROR, code: "not_serializable" },
        },
        { inputId: "c", outcome: "returned", bytes: 0, runMs: 0 },
        { inputId: "d", outcome: "succeeded", bytes: 0, runMs: 9, busyMs: 3 },
      ],
    },
    {
      type: "logs",
      droppedBytes: 7,
      lines: [
        { stream: "stdout", text: "x", inputId: "a" },
        { stream: "stderr", text: "" },
      ],
    },
  ];

  test.each(messages)("$type passes as it is", (message) => {
    expect(checkMessage(message)).toEqual(message);
  });
});

describe("anything else", () => {
  const result = { inputId: "a", outcome: "succeeded", bytes: 0, runMs: 0 };
  test.each<unknown>([
    undefined,
    null,
    "ready",
    [],
    {},
    { type: "boot" },
    { type: "load_failed" },
    { type: "load_failed", error: { name: 5, message: "m" } },
    { type: "load_failed", error: { ...ERROR, cause: "text" } },
    { type: "results" },
    { type: "results", results: {} },
    { type: "results", results: [null] },
    { type: "results", results: [{ ...result, inputId: undefined }] },
    { type: "results", results: [{ ...result, outcome: "cancelled" }] },
    { type: "results", results: [{ ...result, bytes: -1 }] },
    { type: "results", results: [{ ...result, runMs: null }] },
    { type: "results", results: [{ ...result, runMs: "1" }] },
    { type: "logs", lines: [] },
    { type: "logs", lines: [], droppedBytes: Number.NaN },
    { type: "logs", lines: [{ stream: "stdin", text: "x" }], droppedBytes: 0 },
    { type: "logs", lines: [{ stream: "stdout", text: "x", inputId: 5 }], droppedBytes: 0 },
    { type: "exiting", exitCode: "3" },
  ])("%j is refused", (message) => {
    expect(() => checkMessage(message)).toThrow(ProtocolError);
  });

  test("fields and error codes that are not the runner's are left out", () => {
    const error = { ...ERROR, code: "timed_out", billing: 0 };
    const results = [{ ...result, outcome: "failed", error, attempts: 9 }];
    expect(checkMessage({ type: "results", results, owner: "me" })).toEqual({
      type: "results",
      results: [{ ...result, outcome: "failed", error: ERROR }],
    });
  });

  test("whatever comes, it is a message or a refusal", () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom("results", "logs", "load_failed"),
        (value, type) => {
          const message = { type, results: value, lines: value, error: value, droppedBytes: 0 };
          try {
            expect(checkMessage(message)).toMatchObject({ type });
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
    );
  });
});
