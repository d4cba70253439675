import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { PlatformError } from "../../core/index.ts";
import { FRAME_MEDIA_TYPE } from "../../sdk/protocol/index.ts";
import {
  ABC,
  CALL_ID,
  callHeader,
  CALLS,
  CODE,
  CODE_SHA256,
  createFakeClient,
  FUNCTION_ID,
  refused,
  type FakeClient,
} from "./fake-client.ts";
import { ROUTE_ACCESS } from "./route-access.ts";

let client: FakeClient;

beforeEach(async () => {
  client = await createFakeClient();
});
afterEach(async () => {
  await client.app.close();
});

describe("tokens", () => {
  test("health needs none, everything else does", async () => {
    const health = await client.app.inject("/health");
    expect(health.json()).toEqual({ status: "ok", version: "1.2.3" });
    for (const url of ["/metrics", "/openapi.json", "/v1/apps", "/v1/agent", "/v1/nope", "/"]) {
      const answer = await client.app.inject(url);
      refused(answer, 401, "auth_failed");
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
    }
  });

  test("no wrong token gets in, and all are refused alike", async () => {
    const details = new Set<string>();
    for (const token of ["x", "fl_", `fl_${"a".repeat(52)}`, `${client.platform.userToken}a`]) {
      const answer = await client.send({ url: "/v1/apps" }, token);
      details.add(refused(answer, 401, "auth_failed").detail);
    }
    expect(details.size).toBe(1);
  });

  test("an agent's token reads blobs and nothing else", async () => {
    await client.deploy();
    const url = `/v1/blobs/${CODE_SHA256}`;
    expect((await client.send({ url }, client.platform.agentToken)).rawPayload).toEqual(CODE);
    expect(
      (await client.send({ method: "HEAD", url }, client.platform.agentToken)).statusCode,
    ).toBe(200);
    refused(
      await client.send({ method: "PUT", url }, client.platform.agentToken),
      403,
      "auth_failed",
    );
    for (const other of ["/v1/apps", "/v1/nodes", "/metrics", "/openapi.json", "/v1/events"]) {
      refused(await client.send({ url: other }, client.platform.agentToken), 403, "auth_failed");
    }
  });

  test("a join token opens no route", async () => {
    for (const url of ["/v1/apps", `/v1/blobs/${CODE_SHA256}`]) {
      refused(await client.send({ url }, client.platform.joinToken), 403, "auth_failed");
    }
  });

  test("another workspace's apps and calls are not there", async () => {
    await client.deploy();
    await client.sendFrame(CALLS, callHeader(), [ABC]);
    const stranger = client.platform.strangerToken;
    expect((await client.send({ url: "/v1/apps" }, stranger)).json()).toEqual({ apps: [] });
    for (const url of [
      "/v1/apps/demo/functions/square",
      `/v1/calls/${CALL_ID}`,
      `/v1/calls/${CALL_ID}/results`,
      `/v1/events?call=${CALL_ID}`,
      "/v1/events?app=demo",
    ]) {
      refused(await client.send({ url }, stranger), 404, "not_found");
    }
  });
});

describe("failures", () => {
  const failWith = async (failure: Error) => {
    client.platform.failure = failure;
    return client.send({ url: `/v1/calls/${CALL_ID}` });
  };

  test("of the platform keep their code, whether to try again, and details", async () => {
    const failure = new PlatformError("no room", {
      code: "unavailable",
      retryable: true,
      details: { nodes: 3 },
    });
    const answer = await failWith(failure);
    const problem = refused(answer, 503, "unavailable");
    expect(problem).toMatchObject({ detail: "no room", retryable: true, details: { nodes: 3 } });
    expect(answer.headers["retry-after"]).toBe("1");
  });

  test("that are bugs say nothing of the inside", async () => {
    const answer = await failWith(new TypeError("x is not a function at /srv/secret/file.ts:1"));
    const problem = refused(answer, 500, "internal");
    expect(JSON.stringify(problem)).not.toMatch(/secret|is not a function|\.ts/);
  });

  test("of the platform show no path of the machine", async () => {
    const message = "cannot write /var/lib/flotilla/records.db: disk full";
    const answer = await failWith(
      new PlatformError(message, { code: "unavailable", retryable: true }),
    );
    const { detail } = refused(answer, 503, "unavailable");
    expect(detail).toBe("cannot write (path): disk full");
  });
});

describe("documents", () => {
  test("the OpenAPI document has every route, its problems, and no dangling reference", async () => {
    const answer = await client.send({ url: "/openapi.json" });
    const document = z
      .object({
        openapi: z.literal("3.1.0"),
        paths: z.record(
          z.string(),
          z.record(z.string(), z.looseObject({ operationId: z.string() })),
        ),
        components: z.object({ schemas: z.record(z.string(), z.unknown()) }),
      })
      .parse(answer.json());
    const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    // Each route that is registered has a line in the table; here the other direction.
    const known = Object.keys(ROUTE_ACCESS).map((route) =>
      route.replaceAll(/:(\w+)/g, "{$1}").replace("*", "{*}"),
    );
    expect(routes.sort()).toEqual(known.sort());
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, name = ""] of answer.body.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(document.components.schemas)).toContain(name);
    }
    expect(answer.body).toContain(
      `"${FRAME_MEDIA_TYPE}":{"schema":{"type":"string","format":"binary"`,
    );
  });

  test("metrics count requests by route, not by URL", async () => {
    await client.sendFrame(CALLS, callHeader(), [ABC]);
    const { body } = await client.send({ url: "/metrics" });
    expect(body).toMatch(
      /flotilla_http_request_seconds_count\{method="POST",route="\/v1\/functions\/:functionId\/calls",status="200"\} 1/,
    );
    expect(body).not.toContain(FUNCTION_ID);
  });

  test("a path that is not there is a problem that names it", async () => {
    const { detail } = refused(await client.send({ url: "/v1/nope?x=1" }), 404, "not_found");
    expect(detail).toBe("there is no GET /v1/nope");
    refused(await client.send({ method: "DELETE", url: "/v1/apps" }), 404, "not_found");
    refused(await client.send({ url: "/v1/calls/%E0%A4%A" }), 400, "invalid_request");
  });
});
