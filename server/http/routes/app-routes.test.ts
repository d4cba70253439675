import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import { appListSchema, deploymentSchema, functionInfoSchema } from "../wire-schemas.ts";
import { appHistorySchema } from "../app-schemas.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

describe("apps", () => {
  test("are deployed, listed, looked up and stopped", async () => {
    const deployed = deploymentSchema.parse((await client.deploy()).json());
    const listed = appListSchema.parse((await client.send({ url: "/v1/apps" })).json());
    expect(listed.apps).toMatchObject([{ appId: deployed.appId, state: "running" }]);
    const found = await client.send({ url: "/v1/apps/demo/functions/square" });
    expect(functionInfoSchema.parse(found.json()).spec).toEqual({ gpu: "H100" });
    const stopped = await client.send({ method: "POST", url: "/v1/apps/demo/stop" });
    expect(stopped.json()).toMatchObject({ state: "stopped" });
  });

  test("that are ephemeral take heartbeats until they are stopped", async () => {
    const { appId } = deploymentSchema.parse((await client.deploy({ mode: "ephemeral" })).json());
    const url = `/v1/deployments/${appId}/heartbeat`;
    expect((await client.send({ method: "POST", url })).statusCode).toBe(204);
    await client.send({ method: "POST", url: `/v1/apps/${appId}/stop` });
    refused(await client.send({ method: "POST", url }), 409, "conflict");
  });

  test("are rolled back, and tell their versions a page at a time", async () => {
    const rollback = async (payload: object = {}) =>
      client.send({ method: "POST", url: "/v1/apps/demo/rollback", payload });
    refused(await rollback(), 404, "not_found");
    for (let count = 0; count < 2; count += 1) await client.deploy();
    const back = await rollback({ version: 1, strategy: "recreate" });
    expect(deploymentSchema.parse(back.json()).version).toBe(3);
    refused(await rollback({ version: 3 }), 409, "conflict");
    refused(await rollback({ version: 0 }), 400, "invalid_request");
    refused(await rollback({ strategy: "blue" }), 400, "invalid_request");
    const url = "/v1/apps/demo/versions";
    const page = await client.send({ url: `${url}?limit=1` });
    const { versions, nextBefore } = appHistorySchema.parse(page.json());
    expect(versions).toMatchObject([
      { version: 3, rollbackOf: 1, strategy: "recreate", deployedBy: { name: "user" } },
    ]);
    expect(nextBefore).toBe(3);
    const rest = await client.send({ url: `${url}?before=3` });
    expect(appHistorySchema.parse(rest.json()).versions).toHaveLength(2);
    refused(await client.send({ url: `${url}?limit=201` }), 400, "invalid_request");
    refused(await client.send({ url: "/v1/apps/none/versions" }), 404, "not_found");
  });

  test("with a wrong spec are refused by the field's path, with a better word", async () => {
    const functions = [{ name: "square", spec: { gpu: "H10O" } }];
    const { detail } = refused(await client.deploy({ functions }), 400, "invalid_request");
    expect(detail).toMatch(/^body: functions\[0\]\.spec\.gpu: .*Did you mean "H100"\?/);
  });

  test("with a field that is not known are refused by its name", async () => {
    const functions = [{ name: "square", spec: { memoryMb: 1 } }];
    const { detail } = refused(await client.deploy({ functions }), 400, "invalid_request");
    expect(detail).toContain('functions[0].spec: Unrecognized key: "memoryMb"');
  });
});
