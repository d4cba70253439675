/** What one workspace can learn of another by asking: nothing, not even that it has something. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WORKSPACE_HEADER } from "../../sdk/protocol/index.ts";
import {
  ABC,
  CALL_ID,
  callHeader,
  CALLS,
  CODE,
  CODE_SHA256,
  createFakeClient,
  refused,
  type FakeClient,
} from "./fake-client.ts";

let client: FakeClient;
let stranger: string;

beforeEach(async () => {
  client = await createFakeClient();
  stranger = client.platform.strangerToken;
  await client.deploy();
  await client.sendFrame(CALLS, callHeader(), [ABC]);
  const payload = { name: "huggingface", values: { HF_TOKEN: "x" } };
  await client.send({ method: "POST", url: "/v1/secrets", payload });
});
afterEach(async () => client.app.close());

/** An answer without what differs between any two answers. */
const shapeOf = (body: string, names: readonly string[]): string =>
  names
    .reduce((text, name) => text.replaceAll(name, "NAME"), body)
    .replaceAll(/re_[a-z0-9]{26}/g, "REQUEST");

const NO_CALL = `ca_${"b".repeat(26)}`;
const NO_CODE = "0".repeat(64);
const NO_APP = `ap_${"c".repeat(26)}`;

describe("a stranger who names what another workspace has is told what he is told of nothing", () => {
  const get = "GET" as const;
  const json = (method: "PATCH" | "POST", payload: string) => ({ method, payload });
  test.each([
    { method: get, path: "/v1/apps/NAME/functions/square", name: "demo" },
    { method: get, path: "/v1/apps/NAME/versions", name: "demo" },
    { ...json("POST", "{}"), path: "/v1/apps/NAME/rollback", name: "demo" },
    { method: "POST" as const, path: "/v1/apps/NAME/stop", name: "demo" },
    {
      ...json("PATCH", '{"minContainers":1}'),
      path: "/v1/apps/NAME/functions/square/scaling",
      name: "demo",
    },
    { method: get, path: "/v1/calls/NAME", name: CALL_ID },
    { method: get, path: "/v1/calls/NAME/results", name: CALL_ID },
    { method: get, path: "/v1/calls/NAME/values", name: CALL_ID },
    { method: "POST" as const, path: "/v1/calls/NAME/cancel", name: CALL_ID },
    { method: get, path: "/v1/events?call=NAME", name: CALL_ID },
    { method: get, path: "/v1/events?app=NAME", name: "demo" },
    { method: get, path: "/v1/blobs/NAME", name: CODE_SHA256 },
    { method: "HEAD" as const, path: "/v1/blobs/NAME", name: CODE_SHA256 },
    { method: "DELETE" as const, path: "/v1/secrets/NAME", name: "huggingface" },
    { ...json("PATCH", '{"set":{"A":"b"}}'), path: "/v1/secrets/NAME", name: "huggingface" },
  ])("$method $path ($name)", async ({ method, path, name, ...rest }) => {
    const payload = "payload" in rest ? rest.payload : undefined;
    const none = { [CALL_ID]: NO_CALL, [CODE_SHA256]: NO_CODE }[name] ?? "nothing";
    const ask = async (each: string) =>
      client.send(
        {
          method,
          url: path.replace("NAME", each),
          ...(payload === undefined
            ? {}
            : { payload, headers: { "content-type": "application/json" } }),
        },
        stranger,
      );
    const [found, nothing] = [await ask(name), await ask(none)];
    expect(found.statusCode).toBe(404);
    expect(nothing.statusCode).toBe(404);
    expect(shapeOf(found.body, [name, name.slice(0, 80)])).toBe(
      shapeOf(nothing.body, [none, none.slice(0, 80)]),
    );
  });
});

test("lists have what is the asker's and nothing else", async () => {
  const empty = {
    "/v1/apps": { apps: [] },
    "/v1/functions": { functions: [] },
    "/v1/secrets": { secrets: [] },
  };
  for (const [url, body] of Object.entries(empty)) {
    expect((await client.send({ url }, stranger)).json()).toEqual(body);
  }
});

test("code of another workspace cannot be deployed by its hash; sending it oneself opens it", async () => {
  const functions = [{ name: "square", spec: {} }];
  const payload = { mode: "deployed", codeSha256: CODE_SHA256, functions };
  const deploy = async () =>
    client.send({ method: "POST", url: "/v1/apps/mine/deployments", payload }, stranger);
  refused(await deploy(), 400, "invalid_request");
  const put = { method: "PUT", url: `/v1/blobs/${CODE_SHA256}`, payload: CODE } as const;
  const headers = { "content-type": "application/octet-stream" };
  expect((await client.send({ ...put, headers }, stranger)).statusCode).toBe(204);
  expect((await deploy()).statusCode).toBe(200);
});

test("an app of the same name is another app", async () => {
  const put = { method: "PUT", url: `/v1/blobs/${CODE_SHA256}`, payload: CODE } as const;
  const headers = { "content-type": "application/octet-stream" };
  await client.send({ ...put, headers }, stranger);
  const functions = [{ name: "square", spec: { gpu: "T4" } }];
  const payload = { mode: "deployed", codeSha256: CODE_SHA256, functions };
  await client.send({ method: "POST", url: "/v1/apps/demo/deployments", payload }, stranger);
  await client.send({ method: "POST", url: "/v1/apps/demo/stop" }, stranger);
  const ours = (await client.send({ url: "/v1/apps/demo/functions/square" })).json<object>();
  expect(ours).toMatchObject({ spec: { gpu: "H100" }, version: 1 });
});

test("events of the platform are for operators, those of apps for their workspace", async () => {
  const { appId } = (await client.send({ url: "/v1/apps" })).json<{ apps: { appId: string }[] }>()
    .apps[0] ?? { appId: "" };
  const base = { eventId: "1-0", atMs: 1 };
  client.platform.events = [
    { ...base, kind: "log", stream: "stdout", text: "a secret", sequence: 1, appId },
    { ...base, kind: "log", stream: "stdout", text: "nobody's", sequence: 1, appId: NO_APP },
    { ...base, kind: "call.pending", reason: "the platform's" },
  ] as typeof client.platform.events;
  const admin = await client.platform.tokenWith("admin");
  const seen = async (token?: string) => {
    const { body } = await client.send({ url: "/v1/events" }, token);
    return ["a secret", "nobody's", "the platform's"].filter((text) => body.includes(text));
  };
  expect(await seen()).toEqual(["a secret", "the platform's"]);
  expect(await seen(admin)).toEqual(["a secret"]);
  expect(await seen(stranger)).toEqual([]);
});

describe("tokens", () => {
  const create = async (payload: object, token?: string) =>
    client.send({ method: "POST", url: "/v1/tokens", payload }, token);

  test("are made with no more than their maker may do, and open what they say", async () => {
    const admin = await client.platform.tokenWith("admin");
    const operators = { name: "x", scopes: ["read", "operator"] };
    refused(await create(operators, admin), 400, "invalid_request");
    const made = await create({ name: "ci", scopes: ["read", "read"] }, admin);
    expect(made.statusCode).toBe(201);
    expect(made.headers["cache-control"]).toBe("no-store");
    const { secret, tokenId, scopes } = made.json<{
      secret: string;
      tokenId: string;
      scopes: string[];
    }>();
    expect(scopes).toEqual(["read"]);
    expect((await client.send({ url: "/v1/apps" }, secret)).statusCode).toBe(200);
    refused(await create({ name: "y", scopes: ["read"] }, secret), 403, "auth_failed");
    const listed = (await client.send({ url: "/v1/tokens" }, admin)).body;
    expect(listed).toContain(tokenId);
    expect(listed).not.toContain(secret.slice(3));
  });

  test("are another's nobody can see or end; one's own end at once", async () => {
    const made = await create({ name: "ci", scopes: ["read"] });
    const { secret, tokenId } = made.json<{ secret: string; tokenId: string }>();
    const revoke = async (token?: string) =>
      client.send({ method: "DELETE", url: `/v1/tokens/${tokenId}` }, token);
    refused(await revoke(stranger), 404, "not_found");
    expect((await client.send({ url: "/v1/apps" }, secret)).statusCode).toBe(200);
    expect((await revoke()).json()).toMatchObject({ state: "revoked", name: "ci" });
    refused(await client.send({ url: "/v1/apps" }, secret), 401, "auth_failed");
    expect((await revoke()).statusCode).toBe(200);
  });

  test("an operator's is no admin's to end", async () => {
    const admin = await client.platform.tokenWith("admin");
    const made = await create({ name: "root", scopes: ["operator"] });
    const { tokenId } = made.json<{ tokenId: string }>();
    const url = `/v1/tokens/${tokenId}`;
    refused(await client.send({ method: "DELETE", url }, admin), 400, "invalid_request");
    expect((await client.send({ method: "DELETE", url })).statusCode).toBe(200);
  });

  test.each([
    {},
    { name: "x", scopes: [] },
    { name: "", scopes: ["read"] },
    { name: "x\n", scopes: ["read"] },
    { name: "x", scopes: ["root"] },
    { name: "x", scopes: ["read"], expiresInMs: 0 },
    { name: "x", scopes: ["read"], expiresInMs: 1e15 },
    { name: "x", scopes: ["read"], kind: "agent" },
    { name: "x", scopes: ["read"], workspaceId: "other" },
  ])("%j makes none", async (payload) => {
    refused(await create(payload), 400, "invalid_request");
  });
});

describe("workspaces", () => {
  const make = async (name: string) =>
    client.send({ method: "POST", url: "/v1/workspaces", payload: { name } });
  const remove = async (name: string, query = "") =>
    client.send({ method: "DELETE", url: `/v1/workspaces/${name}${query}` });

  test("have tokens of their own, which end with them", async () => {
    expect((await make("team")).statusCode).toBe(201);
    refused(await make("team"), 409, "conflict");
    const made = await client.send({
      method: "POST",
      url: "/v1/tokens",
      headers: { [WORKSPACE_HEADER]: "team" },
      payload: { name: "admin", scopes: ["admin"] },
    });
    const { secret } = made.json<{ secret: string }>();
    const put = { method: "PUT", url: `/v1/blobs/${CODE_SHA256}`, payload: CODE } as const;
    const headers = { "content-type": "application/octet-stream" };
    await client.send({ ...put, headers }, secret);
    const functions = [{ name: "square", spec: {} }];
    const payload = { mode: "deployed", codeSha256: CODE_SHA256, functions };
    await client.send({ method: "POST", url: "/v1/apps/mine/deployments", payload }, secret);
    const listed = (await client.send({ url: "/v1/workspaces" })).json<object>();
    expect(listed).toMatchObject({
      workspaces: [
        { name: "default" },
        { name: "main" },
        { name: "other" },
        { name: "team", appCount: 1, tokenCount: 1 },
      ],
    });
    refused(await remove("team"), 409, "conflict");
    expect((await client.send({ url: "/v1/apps" }, secret)).statusCode).toBe(200);
    expect((await remove("team", "?evenIfUsed=true")).statusCode).toBe(204);
    refused(await client.send({ url: "/v1/apps" }, secret), 401, "auth_failed");
    refused(await remove("team"), 404, "not_found");
    expect((await make("team")).statusCode).toBe(201);
  });

  test("the first one stays", async () => {
    refused(await remove("default", "?evenIfUsed=true"), 409, "conflict");
  });

  test.each(["", "A", "a_b", "-a", "1a", "a".repeat(41), "../x", "ä"])(
    "%j is no name",
    async (name) => {
      refused(await make(name), 400, "invalid_request");
    },
  );
});
