import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decodeFrame, FRAME_MEDIA_TYPE, type ResultsHeader } from "../../../sdk/protocol/index.ts";
import {
  ABC,
  CALL_ID,
  callHeader,
  CALLS,
  createFakeClient,
  refused,
  type FakeClient,
} from "../fake-client.ts";
import { callStatusSchema, jsonCallResponseSchema, resultsHeaderSchema } from "../wire-schemas.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

describe("calls", () => {
  test("as frames give their results as a frame", async () => {
    const answer = await client.sendFrame(CALLS, callHeader(), [ABC]);
    expect(answer.headers["content-type"]).toBe(FRAME_MEDIA_TYPE);
    const { header, body } = decodeFrame<ResultsHeader>(answer.rawPayload);
    expect(resultsHeaderSchema.parse(header)).toMatchObject({ callId: CALL_ID, nextCursor: 1 });
    expect(Buffer.from(body).toString()).toBe("abc");
  });

  test.each<[string, unknown, readonly Uint8Array[], RegExp]>([
    ["a wrong id", callHeader({ callId: "ca_1" }), [ABC], /frame header: callId: must be ca_/],
    ["a negative size", callHeader({ sizes: [-3] }), [ABC], /sizes\[0\]/],
    ["sizes above the body", callHeader({ sizes: [4] }), [ABC], /does not fit/],
    ["a body with a rest", callHeader({ sizes: [2] }), [ABC], /belong to no piece/],
    ["two inputs of a single", callHeader({ sizes: [1, 2] }), [ABC], /exactly one input/],
    ["an open single call", callHeader({ final: false }), [ABC], /exactly one input/],
    ["a long wait", callHeader({ waitMs: 30_001 }), [ABC], /waitMs/],
    ["too many inputs", callHeader({ kind: "map", sizes: Array(2001).fill(0) }), [], /sizes/],
    ["a header that is no object", 7, [ABC], /frame header/],
  ])("with %s are refused with the reason", async (_what, header, bodies, reason) => {
    const answer = await client.sendFrame(CALLS, header, bodies);
    expect(refused(answer, 400, "invalid_request").detail).toMatch(reason);
  });

  test("with a payload above 16 MiB are refused", async () => {
    const size = 16 * 1024 * 1024 + 1;
    const answer = await client.sendFrame(CALLS, callHeader({ sizes: [size] }), [
      Buffer.alloc(size),
    ]);
    refused(answer, 413, "payload_too_large");
  });

  test("whose bytes are no frame are refused", async () => {
    for (const payload of [Buffer.alloc(0), Buffer.from("hello"), Buffer.alloc(1_000, 0xff)]) {
      const headers = { "content-type": FRAME_MEDIA_TYPE };
      const answer = await client.send({ method: "POST", url: CALLS, headers, payload });
      refused(answer, 400, "invalid_request");
    }
  });

  test("without a body, or with one of another type, are refused", async () => {
    refused(await client.send({ method: "POST", url: CALLS }), 415, "invalid_request");
    const headers = { "content-type": "text/plain" };
    const text = await client.send({ method: "POST", url: CALLS, headers, payload: "hi" });
    refused(text, 415, "invalid_request");
    const url = `/v1/calls/${CALL_ID}/inputs`;
    refused(await client.send({ method: "POST", url, payload: {} }), 415, "invalid_request");
  });

  test("in JSON give their result in JSON", async () => {
    const answer = await client.send({
      method: "POST",
      url: CALLS,
      payload: { args: [1, { a: "b" }] },
    });
    const response = jsonCallResponseSchema.parse(answer.json());
    // The fake gives each input back as its result: the array of arguments.
    expect(response).toMatchObject({ state: "finished", result: [1, { a: "b" }] });
    expect(response.callId).toMatch(/^ca_[a-z0-9]{26}$/);
  });

  test("in JSON with wrong fields are refused by their names", async () => {
    for (const [payload, reason] of [
      [{}, /body: args/],
      [{ args: 1 }, /body: args/],
      [{ args: [], waitMs: -1 }, /body: waitMs/],
      [{ args: [], wait: 1 }, /wait/],
    ] as const) {
      const answer = await client.send({ method: "POST", url: CALLS, payload });
      expect(refused(answer, 400, "invalid_request").detail).toMatch(reason);
    }
  });

  test("in JSON that nests too deeply are refused, not crashed on", async () => {
    const payload = `{"args":[${"[".repeat(100_000)}${"]".repeat(100_000)}]}`;
    const headers = { "content-type": "application/json" };
    const answer = await client.send({ method: "POST", url: CALLS, headers, payload });
    refused(answer, 400, "invalid_request");
  });

  test("in JSON above 1 MiB are refused", async () => {
    const payload = { args: ["x".repeat(1024 * 1024)] };
    refused(await client.send({ method: "POST", url: CALLS, payload }), 413, "payload_too_large");
  });

  test("are appended to, asked for, waited for and cancelled", async () => {
    await client.sendFrame(CALLS, callHeader({ kind: "map", final: false }), [ABC]);
    const more = { startIndex: 1, sizes: [3], final: true };
    const appended = await client.sendFrame(`/v1/calls/${CALL_ID}/inputs`, more, [ABC]);
    expect(callStatusSchema.parse(appended.json()).callId).toBe(CALL_ID);
    const status = await client.send({ url: `/v1/calls/${CALL_ID}` });
    expect(callStatusSchema.parse(status.json()).state).toBe("running");
    const page = await client.send({ url: `/v1/calls/${CALL_ID}/results?cursor=7&limit=10` });
    const { header } = decodeFrame<ResultsHeader>(page.rawPayload);
    expect(resultsHeaderSchema.parse(header).nextCursor).toBe(7);
    const cancelled = await client.send({ method: "POST", url: `/v1/calls/${CALL_ID}/cancel` });
    expect(callStatusSchema.parse(cancelled.json()).state).toBe("cancelled");
  });

  test.each([
    "cursor=-1",
    "limit=0",
    "limit=2001",
    "waitMs=30001",
    "cursor=x",
    "cursor=1&cursor=2",
    "foo=1",
  ])("results are not given for ?%s", async (query) => {
    const answer = await client.send({ url: `/v1/calls/${CALL_ID}/results?${query}` });
    const name = query.split("=")[0] ?? "";
    expect(refused(answer, 400, "invalid_request").detail).toContain(name);
  });
});
