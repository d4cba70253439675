import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import { functionInfoSchema, functionListSchema } from "../wire-schemas.ts";

const SCALING = "/v1/apps/demo/functions/square/scaling";
let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
  await client.deploy();
});
afterEach(async () => {
  await client.app.close();
});

const update = async (payload: Readonly<Record<string, unknown>>, url = SCALING) =>
  client.send({ method: "PATCH", url, payload });

test("a function is scaled while it runs, and shown so wherever it is looked up", async () => {
  const answer = await update({ minContainers: 2, maxContainers: 4 });
  expect(functionInfoSchema.parse(answer.json()).scaling).toMatchObject({ minContainers: 2 });
  const found = await client.send({ url: "/v1/apps/demo/functions/square" });
  expect(functionInfoSchema.parse(found.json()).scaling.updated).toHaveLength(2);
  const listed = await client.send({ url: "/v1/functions?app=demo" });
  expect(functionListSchema.parse(listed.json()).functions).toMatchObject([
    { name: "square", scaling: { maxContainers: 4 } },
  ]);
});

test("a function is scaled by its id too", async () => {
  const found = await client.send({ url: "/v1/apps/demo/functions/square" });
  const { functionId } = functionInfoSchema.parse(found.json());
  const answer = await update({ bufferContainers: 3 }, `/v1/functions/${functionId}/scaling`);
  expect(functionInfoSchema.parse(answer.json()).scaling.updated).toEqual(["bufferContainers"]);
  refused(
    await update({ minContainers: 1 }, "/v1/functions/fn_none/scaling"),
    400,
    "invalid_request",
  );
  const other = `/v1/functions/fn_${"0".repeat(26)}/scaling`;
  refused(await update({ minContainers: 1 }, other), 404, "not_found");
});

test("wrong updates are refused by the field, and what is not there is not found", async () => {
  const wrong = refused(await update({ minContainers: "2" }), 400, "invalid_request");
  expect(wrong.detail).toMatch(/^body: minContainers: /);
  expect(refused(await update({}), 400, "invalid_request").detail).toMatch(/nothing to change/);
  refused(await update({ minContainers: 1 }, SCALING.replace("square", "cube")), 404, "not_found");
  refused(await client.send({ url: "/v1/functions?app=none" }), 404, "not_found");
});

test("the routes are in the API's document", async () => {
  const { paths } = (await client.send({ url: "/openapi.json" })).json<{
    paths: Readonly<Record<string, Readonly<Record<string, { operationId: string }>>>>;
  }>();
  expect(paths["/v1/functions"]?.["get"]?.operationId).toBe("listFunctions");
  const scaling = paths["/v1/apps/{app}/functions/{function}/scaling"];
  expect(scaling?.["patch"]?.operationId).toBe("scaleFunction");
  const byId = paths["/v1/functions/{functionId}/scaling"];
  expect(byId?.["patch"]?.operationId).toBe("scaleFunctionById");
});
