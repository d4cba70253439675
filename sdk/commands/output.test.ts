import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  AuthError,
  CallError,
  NotFoundError,
  QuotaError,
  RequestError,
  ServerUnreachableError,
  UsageError,
} from "../errors.ts";
import type { PlanSummary, PlatformEvent } from "../protocol/index.ts";
import { rebuildError } from "../remote-error.ts";
import { parseEvents } from "../client/event-stream.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { printLog } from "./follow-app.ts";
import { InterruptedError } from "./interrupted-error.ts";
import { parseArgument } from "./parse-argument.ts";
import { errorReport } from "./report-error.ts";
import { splitTarget } from "./run.ts";
import { showEvent } from "./show-event.ts";
import { ageOf, tableOf } from "./table.ts";
import { withoutControls } from "./terminal.ts";

beforeEach(() => {
  vi.stubEnv("FORCE_COLOR", undefined);
  vi.stubEnv("NO_COLOR", "1");
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

const PLAN: PlanSummary = {
  planId: "pl_1",
  atMs: 0,
  status: "optimal",
  solver: "highs",
  solveMs: 12,
  offersConsidered: 120,
  objectiveUsdPerHour: 0,
  boundUsdPerHour: 0,
  gapFraction: 0,
  terms: {},
  lines: [],
  unmet: [],
};

describe("text of others", () => {
  test.each([
    ["colours", "\u001b[31mred\u001b[0m", "red"],
    ["cursor moves and clearing", "a\u001b[2J\u001b[1;1Hb", "ab"],
    ["a window title", "\u001b]0;owned\u0007text", "text"],
    ["a link", "\u001b]8;;http://x\u001b\\text\u001b]8;;\u001b\\", "text"],
    ["a bell, a carriage return and a backspace", "a\u0007\rb\b", "ab"],
    ["the eight-bit introducer", "a\u009b31mb", "a31mb"],
    ["tabs and line ends stay", "a\tb\nc", "a\tb\nc"],
    ["an unfinished sequence", "a\u001b[31", "a31"],
  ])("is shown without %s", (_name, text, expected) => {
    expect(withoutControls(text)).toBe(expected);
  });
});

describe("exit codes", () => {
  const wire = { name: "Error", message: "no" };
  test.each([
    [new UsageError("x"), 2],
    [new AuthError("x"), 3],
    [new NotFoundError("x"), 4],
    [new QuotaError("x", { code: "quota_exceeded" }), 5],
    [new ServerUnreachableError("x"), 6],
    [new InterruptedError("x"), 130],
    [new RequestError("x", { code: "invalid_request" }), 2],
    [new RequestError("x", { code: "unavailable" }), 1],
    [new CallError("x", { code: "out_of_memory" }), 1],
    [rebuildError(wire), 1],
    [new Error("the user's own"), 1],
    ["thrown text", 1],
  ])("of %s is %d", (error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });
});

describe("an error report", () => {
  test("of ours is what happened and what to do, without a stack", () => {
    const report = errorReport(new ServerUnreachableError("no server"));
    expect(report).toMatch(/^error\[unreachable\]: no server\n {2}next: start a server/);
    expect(report).not.toMatch(/^\s+at /m);
  });

  test("of a wrong file names the user's line, and none of the packages in between", () => {
    const error = new UsageError("gpu is wrong");
    const between = "    at async parse (file:///app/node_modules/commander/lib/command.js:1:5)";
    error.stack = `UsageError: gpu is wrong\n    at file:///app/shop.ts:4:22\n${between}`;
    expect(errorReport(error)).toBe("error[usage]: gpu is wrong\n    at file:///app/shop.ts:4:22");
    error.stack = `UsageError: gpu is wrong\n${between}`;
    expect(errorReport(error)).toBe("error[usage]: gpu is wrong");
  });

  test("of the user's code is its stack and causes, without control characters", () => {
    const error = rebuildError({
      name: "RangeError",
      message: "too \u001b[31mbig",
      stack: "RangeError: too \u001b[31mbig\n    at price (file:///app/shop.ts:3:9)",
      cause: {
        name: "Error",
        message: "inner",
        stack: "Error: inner\n    at file:///app/a.ts:1:1",
      },
    });
    expect(errorReport(error)).toBe(
      "error: RangeError: too big\n    at price (file:///app/shop.ts:3:9)\n" +
        "caused by: Error: inner\n    at file:///app/a.ts:1:1",
    );
  });
});

describe("events", () => {
  const base = { eventId: "1", atMs: 0 };

  test("show what happened and never more than it", () => {
    expect(showEvent({ ...base, kind: "call.queued", inputs: 1 })).toContain("1 input");
    expect(showEvent({ ...base, kind: "call.pending", reason: "no \u001b[2Jnode" })).toContain(
      "waiting: no node",
    );
    const later = { ...base, kind: "of.a.later.version" } as unknown as PlatformEvent;
    expect(showEvent(later)).toBeUndefined();
  });

  test("tell a plan by what it changes, and not at all when it changes nothing", () => {
    const line = {
      offerId: "aws/us-east-1/*/p5.4xlarge/spot",
      cloud: "aws",
      region: "us-east-1",
      instanceType: "p5.4xlarge",
      purchase: "spot",
      count: 1,
      delta: 1,
      usdPerHour: 3.5,
      reason: "cheapest H100",
    };
    const made = (lines: PlanSummary["lines"]): PlatformEvent => ({
      ...base,
      kind: "plan.made",
      plan: { ...PLAN, lines },
    });
    expect(showEvent(made([line]))).toContain("+1 × aws/us-east-1/*/p5.4xlarge/spot at $3.50/h");
    expect(showEvent(made([{ ...line, delta: 0 }]))).toBeUndefined();
    expect(showEvent(made([]))).toBeUndefined();
  });

  test("a log line goes to the stream it was written to, and to stderr beside JSON", () => {
    const out = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const err = vi.spyOn(process.stderr, "write").mockReturnValue(true);
    const event = { ...base, kind: "log", stream: "stdout", text: "\u001b[1mhi", sequence: 1 };
    printLog(event as never, {});
    expect(out).toHaveBeenLastCalledWith("hi\n");
    printLog(event as never, { raw: true });
    expect(out).toHaveBeenLastCalledWith("\u001b[1mhi\n");
    printLog(event as never, { json: true });
    expect(err).toHaveBeenLastCalledWith("hi\n");
  });

  test("are read from a stream cut anywhere, comments passed over", async () => {
    const events = [1, 2].map((sequence) => ({ ...base, kind: "log", sequence, text: "a\nb" }));
    const text = [
      ": hello\r\n",
      `id: 1\nevent: log\ndata: ${JSON.stringify(events[0])}\n\n: ping\n\n`,
      `data: ${JSON.stringify(events[1])}\r\n\r\n`,
    ].join("");
    for (const size of [1, 3, 7, 1_000]) {
      const seen: PlatformEvent[] = [];
      for await (const event of parseEvents(piecesOf(text, size))) seen.push(event);
      expect(seen).toEqual(events);
    }
  });
});

test("a target is a file, and a name when it has one", () => {
  expect(splitTarget("a.ts")).toEqual({ path: "a.ts", name: undefined });
  expect(splitTarget("C::a.ts::f")).toEqual({ path: "C::a.ts", name: "f" });
  expect(() => splitTarget("a.ts::")).toThrow(UsageError);
});

test("arguments are JSON where they are JSON", () => {
  expect(["7", '{"a":1}', "true", "hello", "", "1e3x"].map(parseArgument)).toEqual([
    7,
    { a: 1 },
    true,
    "hello",
    "",
    "1e3x",
  ]);
});

test("a table lines its columns up and has no frame", () => {
  expect(
    tableOf(
      ["a", "bb"],
      [
        ["1", "2"],
        ["333", "4"],
      ],
    ),
  ).toBe("a    bb\n1    2 \n333  4 ");
});

test("ages are in the largest unit that says enough", () => {
  expect([5_000, 600_000, 36_000_000, 900_000_000].map((ms) => ageOf(0, ms))).toEqual([
    "5 s",
    "10 min",
    "10 h",
    "10 d",
  ]);
});

async function* piecesOf(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}
