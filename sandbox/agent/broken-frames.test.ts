/** Anything that code in a container may write to the agent, by the thousand. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame } from "../../sdk/protocol/index.ts";
import { settled } from "../fake/clock.ts";
import { TestContainer } from "./test-container.ts";

const text = fc.oneof(fc.string(), fc.constantFrom("in_1", "in_2", "stdout", "succeeded"));
const value = fc.oneof(fc.jsonValue(), text, fc.double(), fc.constant(-1), fc.constant(2 ** 53));
const type = fc.oneof(
  fc.constantFrom("ready", "load_failed", "results", "logs", "exiting", "__proto__", "boot"),
  fc.string(),
);
const result = fc.record(
  { inputId: text, outcome: text, bytes: value, runMs: value, error: value, busyMs: value },
  { requiredKeys: [] },
);
const header = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      type,
      results: fc.oneof(value, fc.array(result)),
      lines: fc.oneof(value, fc.array(fc.record({ stream: text, text: value, inputId: value }))),
      error: value,
      exitCode: value,
      inputId: value,
      droppedBytes: value,
    },
    { requiredKeys: ["type"] },
  ),
);
const frame = fc
  .tuple(header, fc.uint8Array({ maxLength: 16 }))
  .map(([head, body]) => encodeFrame(head, [body]));
/** A frame with bytes exchanged, cut off or put in. */
const broken = fc
  .tuple(frame, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), fc.boolean())
  .map(([bytes, at, other, isCut]) => {
    const start = at % bytes.byteLength;
    const rest = isCut ? new Uint8Array(0) : bytes.subarray(start + other.byteLength);
    return Buffer.concat([bytes.subarray(0, start), other, rest]);
  });
const anything = fc.oneof(frame, broken, fc.uint8Array({ maxLength: 64 }));

test("whatever a runner writes, the agent lives, and the container fails with a reason or goes on", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anything, { minLength: 1, maxLength: 6 }), async (writes) => {
      const one = new TestContainer();
      await one.startWith("in_1", "in_2");
      for (const bytes of writes) one.sandbox.sayBytes(bytes);
      await settled();
      if (one.sandbox.kills === 0) one.sandbox.end({ exitCode: 1 });
      await one.running;
      const { exits, results, lines } = one.reported;
      expect(exits).toHaveLength(1);
      expect(exits[0]?.message).not.toBe("");
      const told = results.map(({ inputId }) => inputId);
      const left = exits[0]?.inputIds ?? [];
      expect([...told, ...left].sort()).toEqual(["in_1", "in_2"]);
      for (const { text: line } of lines) expect(typeof line).toBe("string");
      for (const { runMs, bytes } of results) expect(runMs >= 0 && bytes >= 0).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("a runner that broke the protocol is named so, and heard no more", async () => {
  const one = new TestContainer();
  await one.startWith("in_1");
  one.sandbox.sayBytes(Buffer.from("ffffffffffffffff", "hex"));
  await one.answer("in_1");
  await one.running;
  expect(one.reported.exits).toMatchObject([
    { kind: "exited", message: expect.stringMatching(/its runner broke the protocol: /) as string },
  ]);
  expect(one.reported.results).toMatchObject([{ inputId: "in_1", outcome: "failed" }]);
});

test("a header that would keep the agent busy is refused before it is read", async () => {
  const one = new TestContainer();
  await one.startWith("in_1");
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32LE(40 * 1024 * 1024, 0);
  prefix.writeUInt32LE(39 * 1024 * 1024, 4);
  one.sandbox.sayBytes(prefix);
  await one.running;
  expect(one.reported.exits[0]?.message).toMatch(/its runner broke the protocol: a frame of/);
});
