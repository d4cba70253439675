/**
 * User code shares the runner's process and can write to its channel: anything, at any time. The
 * agent must live, the container must end with a clear error or go on, and the others must not
 * notice.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeFrame } from "../../sdk/protocol/index.ts";
import { Siege } from "./siege.ts";
import type { TestNode } from "./test-node.ts";

/** Writes bytes to the channel, past the runner. */
const WRITER = `import { writeSync } from "node:fs";
  export const run = async (writes) => {
    for (let bytes of writes) {
      while (bytes.length > 0) {
        try { bytes = bytes.subarray(writeSync(0, bytes)); }
        catch (error) { if (error.code !== "EAGAIN") throw error; }
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    return "written";
  };`;
/** A frame that was begun swallows the runner's answer: the input ends at its limit. */
const TIMEOUT_MS = 1_500;
const CASES = 30;
const SEED = 6;

let siege: Siege;
let node: TestNode;

beforeAll(async () => {
  siege = await Siege.open();
  node = siege.node;
});

afterAll(async () => {
  await siege.close();
});

/** What becomes of a container that writes this to its channel. */
async function outcomeOf(writes: readonly Uint8Array[]): Promise<string> {
  const attacker = await node.start(WRITER, { timeoutMs: TIMEOUT_MS });
  const inputId = attacker.give(writes);
  const { outcome, error } = await node.answerTo(inputId);
  await siege.expectUsable();
  attacker.stop();
  await attacker.exit();
  expect(attacker.traces).toEqual([]);
  expect(node.errors).toEqual([]);
  return error?.message ?? outcome;
}

const prefixed = (total: number, header: number, rest = ""): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(total, 0);
  bytes.writeUInt32LE(header, 4);
  return Buffer.concat([bytes, Buffer.from(rest)]);
};

test.each([
  ["zeros", [new Uint8Array(64)]],
  ["a frame larger than any", [prefixed(0xffff_ffff, 4)]],
  ["a header larger than its frame", [prefixed(8, 0xffff_ffff)]],
  ["a header that is no JSON", [prefixed(12, 8, "{broken}")]],
  ["a header that is not UTF-8", [prefixed(6, 2), Uint8Array.from([0xff, 0xfe])]],
  ["a header of brackets", [prefixed(4 + 100_000, 100_000, "[".repeat(100_000))]],
  ["a message of no type", [encodeFrame({})]],
  ["a message that is a list", [encodeFrame([1, 2])]],
  ["a message for the runner", [encodeFrame({ type: "boot", env: {} })]],
  ["a result without an outcome", [encodeFrame({ type: "results", results: [{}] })]],
  [
    "a result with more bytes than it brings",
    [
      encodeFrame({
        type: "results",
        results: [{ inputId: "x", outcome: "succeeded", bytes: 1e9, runMs: 0 }],
      }),
    ],
  ],
  ["a line from nowhere", [encodeFrame({ type: "logs", lines: [{ stream: 3 }], droppedBytes: 0 })]],
])("%s: the container fails with what was wrong", async (_, writes) => {
  expect(await outcomeOf(writes)).toMatch(
    /the container was ended: its runner broke the protocol: /,
  );
});

test("results and lines that are not its own are left out, and the container goes on", async () => {
  const foreign = { inputId: "co_attack1-1", outcome: "succeeded", bytes: 0, runMs: 0 };
  const lines = [{ stream: "stdout", text: "mine", inputId: "co_attack1-1" }];
  const writes = [
    encodeFrame({ type: "results", results: [foreign] }),
    encodeFrame({ type: "logs", lines, droppedBytes: 0 }),
    encodeFrame({ type: "ready" }),
  ];
  expect(await outcomeOf(writes)).toBe("succeeded");
  const told = node.link.all("logs").flatMap((message) => message.lines);
  expect(told.find((line) => line.text === "mine")).not.toHaveProperty("inputId");
});

test("a frame that never ends holds nobody but its own container, until its limit", async () => {
  const drops = Array.from({ length: 2_000 }, () => new Uint8Array([65]));
  const outcome = await outcomeOf([prefixed(64 * 1024 * 1024, 1024 * 1024), ...drops]);
  expect(outcome).toMatch(/ran longer than its limit/);
});

test("frames with bytes exchanged, cut off and put in: none reaches beyond its container", async () => {
  const frames = [
    encodeFrame({ type: "ready" }),
    encodeFrame({ type: "exiting", exitCode: 0 }),
    encodeFrame({ type: "logs", lines: [{ stream: "stdout", text: "a" }], droppedBytes: 0 }),
  ];
  const broken = fc
    .tuple(fc.constantFrom(...frames), fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 12 }))
    .map(([frame, at, other]) => {
      const start = at % frame.byteLength;
      return Buffer.concat([frame.subarray(0, start), other, frame.subarray(start + 1)]);
    });
  const cases = fc.sample(
    fc.array(fc.oneof(broken, fc.uint8Array()), { minLength: 1, maxLength: 4 }),
    {
      numRuns: CASES,
      seed: SEED,
    },
  );
  const outcomes = await Promise.all([...split(cases, 2)].map(inTurn));
  const all = outcomes.flat();
  expect(all).toHaveLength(CASES);
  for (const outcome of all) {
    expect(outcome).toMatch(/^succeeded|its runner broke the protocol|ran longer than its limit/);
  }
  expect(all.some((outcome) => outcome.includes("broke the protocol"))).toBe(true);
});

function* split<Item>(items: readonly Item[], count: number): Generator<readonly Item[]> {
  for (let part = 0; part < count; part += 1) {
    yield items.filter((_, position) => position % count === part);
  }
}

async function inTurn(cases: readonly (readonly Uint8Array[])[]): Promise<readonly string[]> {
  const outcomes: string[] = [];
  for (const writes of cases) outcomes.push(await outcomeOf(writes));
  return outcomes;
}
