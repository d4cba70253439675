import { expect, test } from "vitest";
import { decodeEvent, encodeEvent } from "./event-codec.ts";

test("an event comes back as it was, with its id", () => {
  const text = encodeEvent({ nodeId: "no_1" }, { kind: "node.draining", reason: "idle" }, 7);
  expect(decodeEvent("1-0", text)).toEqual({
    eventId: "1-0",
    atMs: 7,
    nodeId: "no_1",
    kind: "node.draining",
    reason: "idle",
  });
});

test("a huge log line is cut and says so", () => {
  const text = "x".repeat(1_000_000);
  const encoded = encodeEvent({}, { kind: "log", stream: "stderr", text, sequence: 1 }, 0);
  expect(encoded.length).toBeLessThan(20_000);
  expect(decodeEvent("1-0", encoded)).toMatchObject({
    text: expect.stringMatching(/… \(983616 characters cut\)$/) as string,
  });
});
