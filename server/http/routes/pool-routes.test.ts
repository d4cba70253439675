import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createFakeClient, refused, type FakeClient } from "../fake-client.ts";
import { POOL_NODE_ID } from "../fake-pool.ts";
import {
  cloudCheckSchema,
  cloudReportSchema,
  orderReportSchema,
  poolEventSchema,
  poolStatusSchema,
} from "../pool-schemas.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

const order = async (kind: string, body: Record<string, unknown> = {}, nodeId = POOL_NODE_ID) =>
  client.send({ method: "POST", url: `/v1/pool/nodes/${nodeId}/${kind}`, payload: body });

describe("the pool", () => {
  test("is reported as the schemas say", async () => {
    poolStatusSchema.parse((await client.send({ url: "/v1/pool" })).json());
    const events = await client.send({ url: `/v1/pool/events?node=${POOL_NODE_ID}` });
    expect(z.object({ events: z.array(poolEventSchema) }).parse(events.json()).events).toHaveLength(
      2,
    );
    const clouds = await client.send({ url: "/v1/clouds" });
    z.object({ clouds: z.array(cloudReportSchema) }).parse(clouds.json());
    const check = await client.send({ method: "POST", url: "/v1/clouds/aws/check" });
    expect(cloudCheckSchema.parse(check.json()).isGood).toBe(true);
  });

  test("gives its events in pages", async () => {
    const page = async (query: string) =>
      z
        .object({ events: z.array(poolEventSchema) })
        .parse((await client.send({ url: `/v1/pool/events?${query}` })).json())
        .events.map(({ sequence }) => sequence);
    expect(await page("limit=1")).toEqual([2]);
    expect(await page("limit=1&before=2")).toEqual([1]);
    for (const query of ["limit=0", "limit=1001", "before=-1", "node=x", "nodes=x", "limit=x"]) {
      refused(await client.send({ url: `/v1/pool/events?${query}` }), 400, "invalid_request");
    }
  });

  test("is shown to nobody without a token, and to no agent", async () => {
    for (const url of ["/v1/pool", "/v1/pool/events", "/v1/clouds"]) {
      refused(await client.send({ url }, "fl_nobody"), 401, "auth_failed");
      refused(await client.send({ url }, client.platform.agentToken), 403, "auth_failed");
    }
    const url = `/v1/pool/nodes/${POOL_NODE_ID}/drain`;
    const late = await client.send(
      { method: "POST", url, payload: {} },
      client.platform.agentToken,
    );
    refused(late, 403, "auth_failed");
  });
});

describe("orders for nodes", () => {
  test("change them", async () => {
    for (const [kind, state] of [
      ["cordon", "cordoned"],
      ["uncordon", "healthy"],
      ["drain", "draining"],
    ] as const) {
      const answer = orderReportSchema.parse((await order(kind, { reason: "a test" })).json());
      expect(answer).toMatchObject({ nodeId: POOL_NODE_ID, state });
    }
    expect((await order("drain", { deadlineMs: 60_000 })).statusCode).toBe(200);
  });

  test("that would cut something off must say so", async () => {
    refused(await order("release"), 409, "conflict");
    expect((await order("release", { evenIfBusy: true })).statusCode).toBe(200);
  });

  test("for unknown nodes, or with what does not belong to them, are refused", async () => {
    refused(await order("drain", {}, `no_${"1".repeat(26)}`), 404, "not_found");
    refused(await order("drain", {}, "x"), 400, "invalid_request");
    refused(await order("cordon", { deadlineMs: 1 }), 400, "invalid_request");
    refused(await order("drain", { evenIfBusy: true }), 400, "invalid_request");
    for (const body of [{ deadlineMs: -1 }, { deadlineMs: 1.5 }, { reason: "" }, { why: "x" }]) {
      refused(await order("drain", body), 400, "invalid_request");
    }
    refused(await order("explode"), 404, "not_found");
    const check = await client.send({ method: "POST", url: "/v1/clouds/moon/check" });
    refused(check, 404, "not_found");
  });
});
