import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { judge, type EndOfContainer, type Verdict } from "./blame.ts";

const END: EndOfContainer = {
  exit: { exitCode: 1, signal: undefined, outOfMemory: false },
  ordered: undefined,
  wasReady: true,
  loadError: undefined,
  announced: undefined,
  inputIds: ["a"],
  timeoutMs: 1_500,
  startupTimeoutMs: 9_000,
  memoryMiB: 128,
  reservedMiB: 128,
  lastWords: "",
  heapExhausted: false,
  fault: undefined,
};

const outOfMemory = { exitCode: 137, signal: undefined, outOfMemory: true };

function check(
  end: Partial<EndOfContainer>,
  kind: Verdict["kind"],
  blamed: string | undefined,
  message: RegExp,
): void {
  const verdict = judge({ ...END, ...end });
  expect(verdict).toMatchObject({ kind, message: expect.stringMatching(message) as string });
  expect(verdict.blamed?.inputId).toBe(blamed);
}

describe("what happened", () => {
  test("a container that we stopped was stopped, whatever its exit looks like", () => {
    check({ ordered: "stop", exit: outOfMemory }, "stopped", undefined, /was stopped/);
    check({ ordered: "stop", wasReady: false }, "stopped", undefined, /was stopped/);
  });

  test("one that we ended for its input's time limit names the limit", () => {
    check({ ordered: "timeout", exit: outOfMemory }, "timed_out", "a", /limit of 1500 ms/);
  });

  test("one that was not ready failed to start, for the reason that is known best", () => {
    const loadError = { name: "TypeError", message: "x is no function" };
    const starting = { wasReady: false, inputIds: [], lastWords: "bad option" };
    check({ ...starting, loadError }, "startup_failed", undefined, /did not load: x is no func/);
    check({ ...starting, ordered: "startup_timeout" }, "startup_failed", undefined, /9000 ms/);
    check({ ...starting, fault: "no runsc" }, "startup_failed", undefined, /not start: no runsc/);
    check({ ...starting, exit: outOfMemory }, "startup_failed", undefined, /128 MiB .*starting/);
    check(starting, "startup_failed", undefined, /exit code 1 before .*: bad option$/);
    check({ ...starting, lastWords: "" }, "startup_failed", undefined, /code was loaded$/);
  });

  test("one that became ready while it was ended for its slow start did not start", () => {
    check({ ordered: "startup_timeout" }, "startup_failed", undefined, /within 9000 ms/);
  });

  test("one that the kernel ended for its memory was out of memory", () => {
    check({ exit: outOfMemory }, "out_of_memory", "a", /its 128 MiB/);
  });

  test("one with a limit above what it reserves says both, since either may have been in its way", () => {
    const end = { exit: outOfMemory, memoryMiB: 512 };
    const both = /its limit is 512 MiB, of which only 128 MiB are reserved$/;
    check(end, "out_of_memory", "a", both);
    check({ ...end, wasReady: false }, "startup_failed", undefined, /128 MiB are reserved while/);
  });

  test("one that aborted without heap was out of memory, one that only spoke of it was not", () => {
    const exhausted = { heapExhausted: true };
    for (const aborted of [{ exitCode: 134 }, { exitCode: undefined, signal: "SIGABRT" }]) {
      const exit = { ...END.exit, ...aborted };
      check({ ...exhausted, exit }, "out_of_memory", "a", /128 MiB/);
      check({ ...exhausted, exit, wasReady: false }, "startup_failed", undefined, /128 MiB/);
      check({ exit }, "exited", "a", /134|SIGABRT/);
    }
    check(exhausted, "exited", "a", /exit code 1/);
  });

  test("one that called exit did so, even with the code of a kill", () => {
    const announced = { exitCode: 137, inputId: "a" };
    check({ announced, exit: outOfMemory }, "exited", "a", /exit code 137/);
  });

  test("any other end is told by its signal or its exit code", () => {
    const exit = { exitCode: undefined, signal: "SIGSEGV", outOfMemory: false };
    check({ exit }, "exited", "a", /signal SIGSEGV/);
    check({ exit: { ...exit, signal: undefined } }, "exited", "a", /exit code unknown/);
  });

  test("one that broke the protocol is told with what it broke", () => {
    check({ fault: "its runner said nonsense" }, "exited", "a", /ended: its runner said nonsense/);
  });
});

describe("who is to blame", () => {
  test("past a time limit it is the oldest input, which ran", () => {
    check({ ordered: "timeout", inputIds: ["b", "a"] }, "timed_out", "b", /1500/);
  });

  test("the one that the runner named is, though others waited", () => {
    const announced = { exitCode: 2, inputId: "b" };
    check({ announced, inputIds: ["a", "b"] }, "exited", "b", /exit code 2/);
  });

  test("nobody is when the runner said that none ran, or named one that is not here", () => {
    check({ announced: { exitCode: 2 } }, "exited", undefined, /exit code 2/);
    check({ announced: { exitCode: 2, inputId: "z" } }, "exited", undefined, /exit code 2/);
  });

  test("nobody is when several inputs were there and any of them may have done it", () => {
    check({ exit: outOfMemory, inputIds: ["a", "b"] }, "out_of_memory", undefined, /128/);
    check({ inputIds: [] }, "exited", undefined, /exit code 1/);
  });

  test("whatever happened, only an input that is here is blamed, and never for a stop", () => {
    const text = fc.constantFrom("a", "b", "c");
    const end = fc.record({
      ordered: fc.constantFrom(
        "stop" as const,
        "timeout" as const,
        "startup_timeout" as const,
        undefined,
      ),
      wasReady: fc.boolean(),
      heapExhausted: fc.boolean(),
      exit: fc.record({
        exitCode: fc.constantFrom(0, 1, 134, 137, undefined),
        signal: fc.constantFrom("SIGKILL", "SIGABRT", undefined),
        outOfMemory: fc.boolean(),
      }),
      announced: fc.option(fc.record({ exitCode: fc.nat(255), inputId: text }), { nil: undefined }),
      inputIds: fc.uniqueArray(text),
    });
    fc.assert(
      fc.property(end, (changes) => {
        const { kind, message, blamed } = judge({ ...END, ...changes });
        expect(message).not.toBe("");
        if (blamed === undefined) return;
        expect(changes.inputIds).toContain(blamed.inputId);
        expect(["exited", "out_of_memory", "timed_out"]).toContain(kind);
        expect(blamed.error).toMatchObject({ message, code: expect.any(String) as string });
      }),
    );
  });
});
