import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";

const URL = `/v1/images/${"ab".repeat(32)}/reads`;
const BYTES = { "content-type": "application/octet-stream" };
const LIST = Buffer.from([7, 0, 0, 0, 1, 0, 0, 0]);
let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

test("a node tells what an image reads and is given it", async () => {
  const { agentToken } = client.platform;
  refused(await client.send({ url: URL }, agentToken), 404, "not_found");
  const put = { method: "PUT", url: URL, headers: BYTES, payload: LIST } as const;
  expect((await client.send(put, agentToken)).statusCode).toBe(204);
  const answer = await client.send({ url: URL }, agentToken);
  expect(answer.rawPayload).toEqual(LIST);
  expect(answer.headers["content-type"]).toBe(BYTES["content-type"]);
});

test("no user and nobody who has not joined sees or changes one", async () => {
  for (const method of ["GET", "PUT"] as const) {
    const sent = { method, url: URL, ...(method === "PUT" && { payload: LIST, headers: BYTES }) };
    refused(await client.send(sent), 403, "auth_failed");
    refused(await client.send(sent, client.platform.joinToken), 403, "auth_failed");
    refused(await client.send(sent, "fl_none"), 401, "auth_failed");
  }
});

test("names that are no hashes and bodies that are no bytes are refused", async () => {
  const { agentToken } = client.platform;
  refused(await client.send({ url: "/v1/images/im_1/reads" }, agentToken), 400, "invalid_request");
  const json = { method: "PUT", url: URL, payload: {} } as const;
  expect((await client.send(json, agentToken)).statusCode).toBe(415);
});
