import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import { appListSchema, deploymentSchema, functionInfoSchema } from "../wire-schemas.ts";

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
