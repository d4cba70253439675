import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";

const ID = "ab".repeat(32);
const URL = `/v1/chunks/${ID}`;
let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

test("a chunk is given as it is stored, to users and to agents, for ever", async () => {
  const encoded = Buffer.from([0, 1, 0, 0, 0, 7]);
  client.platform.chunks.set(ID, encoded);
  for (const token of [client.platform.userToken, client.platform.agentToken]) {
    const answer = await client.send({ url: URL }, token);
    expect(answer.rawPayload).toEqual(encoded);
    expect(answer.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "cache-control": "private, immutable, max-age=31536000",
    });
  }
});

test("what is no chunk is refused, and what is not there is not found", async () => {
  refused(await client.send({ url: URL }), 404, "not_found");
  for (const wrong of ["abc", "..%2f..%2fetc", "AB".repeat(32), `${ID}0`]) {
    refused(await client.send({ url: `/v1/chunks/${wrong}` }), 400, "invalid_request");
  }
});

test("a chunk is for nobody without a token, nor for one who has not joined yet", async () => {
  client.platform.chunks.set(ID, Buffer.from([0]));
  refused(await client.send({ url: URL }, "fl_none"), 401, "auth_failed");
  refused(await client.send({ url: URL }, client.platform.joinToken), 403, "auth_failed");
});
