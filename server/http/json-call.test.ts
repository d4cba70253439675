import { expect, test } from "vitest";
import { decodeValue, encodeValue, storeSegments } from "../../sdk/protocol/index.ts";
import { statusOf } from "./fake-services.ts";
import { jsonCallOf, jsonResponseOf } from "./json-call.ts";

const page = (payload: Uint8Array | undefined, changed: object = {}) => ({
  header: {
    callId: "ca_1",
    results: [
      {
        index: 0,
        outcome: "succeeded" as const,
        bytes: payload?.byteLength ?? 0,
        attempts: 1,
        runMs: 1,
        ...changed,
      },
    ],
    nextCursor: 1,
    status: statusOf("ca_1", { state: "finished" }),
  },
  payloads: payload === undefined ? [] : [payload],
});

test("arguments travel as one encoded list, and wait as long as the API allows", () => {
  const { header, payloads } = jsonCallOf({ args: [1, "two"] }, "ca_1");
  expect(header).toMatchObject({ kind: "single", final: true, waitMs: 30_000 });
  expect(payloads.map(decodeValue)).toEqual([[1, "two"]]);
});

test("a result that JSON can carry comes back as itself", () => {
  const response = jsonResponseOf(page(encodeValue({ x: [1, null] })));
  expect(response).toEqual({ callId: "ca_1", state: "finished", result: { x: [1, null] } });
});

test("a result that is kept as blobs is an error that names the limit and the way", async () => {
  const reference = await storeSegments([new Uint8Array(17 * 1024 * 1024)], {
    put: () => Promise.resolve("0".repeat(64)),
    get: () => Promise.reject(new Error("nothing is read")),
  });
  const response = jsonResponseOf(page(reference));
  expect(response).not.toHaveProperty("result");
  expect(response.error).toMatchObject({
    name: "PayloadTooLargeError",
    code: "payload_too_large",
  });
  expect(response.error?.message).toMatch(/16777216 bytes.*call through the SDK/);
});

test("no result is no field", () => {
  expect(jsonResponseOf(page(encodeValue(undefined)))).toEqual({
    callId: "ca_1",
    state: "finished",
  });
});

test.each([[encodeValue(new Map([[1, 2]]))], [encodeValue(1n)], [Buffer.from([99, 1, 2])]])(
  "a result that JSON cannot carry is an error that says so",
  (payload) => {
    const { error } = jsonResponseOf(page(payload));
    expect(error).toMatchObject({ name: "SerializationError", code: "not_serializable" });
  },
);

test("a user's exception is the error, and a running call has neither", () => {
  const error = { name: "TypeError", message: "no" };
  const failed = page(undefined, { outcome: "failed", error });
  expect(jsonResponseOf(failed).error).toEqual(error);
  const running = {
    ...failed,
    header: { ...failed.header, results: [], status: statusOf("ca_1") },
  };
  expect(jsonResponseOf(running)).toEqual({ callId: "ca_1", state: "running" });
});
