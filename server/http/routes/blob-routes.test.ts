import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createHash } from "node:crypto";
import { FAKE_BLOB_DIR } from "../fake-services.ts";
import { CODE, CODE_SHA256, createFakeClient, refused, type FakeClient } from "../fake-client.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

describe("blobs", () => {
  test("are stored under their hash and found again", async () => {
    const url = `/v1/blobs/${CODE_SHA256}`;
    expect((await client.send({ method: "HEAD", url })).statusCode).toBe(404);
    expect((await client.putBlob(CODE_SHA256, CODE)).statusCode).toBe(204);
    expect((await client.send({ method: "HEAD", url })).statusCode).toBe(200);
    expect((await client.send({ url })).rawPayload).toEqual(CODE);
  });

  test("with another hash are not stored", async () => {
    refused(await client.putBlob("0".repeat(64), CODE), 400, "invalid_request");
    expect(client.platform.blobs.size).toBe(0);
  });

  test("above 64 MiB are refused", async () => {
    const payload = Buffer.alloc(64 * 1024 * 1024 + 1);
    refused(await client.putBlob("0".repeat(64), payload), 413, "payload_too_large");
  });

  test("that nobody has hashed get their name here, and are there for their workspace alone", async () => {
    const headers = { "content-type": "application/octet-stream" };
    const request = { method: "POST", url: "/v1/blobs", payload: CODE, headers } as const;
    expect((await client.send(request)).json()).toEqual({ sha256: CODE_SHA256 });
    const url = `/v1/blobs/${CODE_SHA256}`;
    expect((await client.send({ url })).rawPayload).toEqual(CODE);
    const stranger = client.platform.strangerToken;
    refused(await client.send({ url }, stranger), 404, "not_found");
  });

  test("that are files of a folder which their reader names are not sent", async () => {
    await client.putBlob(CODE_SHA256, CODE);
    const read = (dir: string, token?: string) =>
      client.send(
        { url: `/v1/blobs/${CODE_SHA256}`, headers: { "x-flotilla-blob-dir": dir } },
        token,
      );
    const answer = await read(FAKE_BLOB_DIR);
    expect([answer.statusCode, answer.rawPayload.byteLength]).toEqual([204, 0]);
    expect((await read("/other")).rawPayload).toEqual(CODE);
    refused(await read(FAKE_BLOB_DIR, client.platform.strangerToken), 404, "not_found");
  });

  test("of no bytes are bytes too", async () => {
    const sha256 = createHash("sha256").digest("hex");
    expect((await client.putBlob(sha256, Buffer.alloc(0))).statusCode).toBe(204);
  });

  test("must be raw bytes, under a hash", async () => {
    const url = `/v1/blobs/${CODE_SHA256}`;
    const asJson = await client.send({ method: "PUT", url, payload: { a: 1 } });
    refused(asJson, 415, "invalid_request");
    refused(await client.send({ url: "/v1/blobs/..%2f..%2fetc" }), 400, "invalid_request");
  });
});
