import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";

const ID = "ab".repeat(32);
const NOTE = `/v1/snapshots/${ID}/${ID}`;
const CHUNK = `/v1/snapshots/chunks/${ID}`;
const BYTES = { "content-type": "application/octet-stream" };
let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

test("a node offers a snapshot, sends its chunks and fetches them", async () => {
  const { agentToken } = client.platform;
  const send = (method: "GET" | "PUT" | "DELETE", url: string, body?: Buffer) =>
    client.send({ method, url, headers: BYTES, ...(body && { payload: body }) }, agentToken);
  const offered = await send("PUT", NOTE, Buffer.from("{}"));
  expect([offered.statusCode, offered.json()]).toEqual([200, { wanted: true, missing: [] }]);
  expect((await send("PUT", CHUNK, Buffer.from("encoded"))).statusCode).toBe(204);
  expect((await send("GET", CHUNK)).body).toBe("encoded");
  refused(await send("GET", NOTE), 404, "not_found");
  expect((await send("DELETE", NOTE)).statusCode).toBe(204);
});

test("no user sees or changes anything of the memory of functions, whatever their scope", async () => {
  for (const method of ["GET", "PUT", "DELETE"] as const) {
    for (const url of method === "DELETE" ? [NOTE] : [NOTE, CHUNK]) {
      const payload = method === "PUT" ? { payload: Buffer.from("x"), headers: BYTES } : {};
      refused(await client.send({ method, url, ...payload }), 403, "auth_failed");
      refused(await client.send({ method, url, ...payload }, "fl_none"), 401, "auth_failed");
    }
  }
});

test("names that are no hashes and bodies that are no bytes are refused", async () => {
  const { agentToken } = client.platform;
  refused(await client.send({ url: "/v1/snapshots/x/y" }, agentToken), 400, "invalid_request");
  const json = { method: "PUT", url: NOTE, payload: {} } as const;
  expect((await client.send(json, agentToken)).statusCode).toBe(415);
});
