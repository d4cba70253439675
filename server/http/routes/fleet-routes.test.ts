import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import {
  containerSummarySchema,
  nodeSummarySchema,
  planSummarySchema,
  platformStatusSchema,
} from "../wire-schemas.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

describe("the fleet", () => {
  test("is listed as the schemas say", async () => {
    const containers = await client.send({ url: "/v1/containers" });
    z.object({ containers: z.array(containerSummarySchema) }).parse(containers.json());
    const nodes = await client.send({ url: "/v1/nodes" });
    z.object({ nodes: z.array(nodeSummarySchema) }).parse(nodes.json());
    planSummarySchema.parse((await client.send({ url: "/v1/plan" })).json());
    platformStatusSchema.parse((await client.send({ url: "/v1/status" })).json());
  });

  test("without a plan answers with nothing", async () => {
    client.platform.plan = undefined;
    const answer = await client.send({ url: "/v1/plan" });
    expect([answer.statusCode, answer.body]).toEqual([204, ""]);
  });

  test("has containers that can be stopped", async () => {
    const stop = async (last: string) =>
      client.send({ method: "POST", url: `/v1/containers/co_${last.padStart(26, "0")}/stop` });
    expect((await stop("0")).statusCode).toBe(204);
    refused(await stop("1"), 404, "not_found");
    refused(
      await client.send({ method: "POST", url: "/v1/containers/x/stop" }),
      400,
      "invalid_request",
    );
  });
});
