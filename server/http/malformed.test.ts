/** Hundreds of malformed requests: every answer is a 4xx problem or a success, never a 5xx. */
import fc from "fast-check";
import { afterAll, beforeAll, test } from "vitest";
import { encodeFrame, FRAME_MEDIA_TYPE } from "../../sdk/protocol/index.ts";
import { CALL_ID, CODE_SHA256, createFakeClient, FUNCTION_ID, problemIn } from "./fake-client.ts";
import type { FakeClient } from "./fake-client.ts";

let client: FakeClient;
beforeAll(async () => {
  client = await createFakeClient();
  await client.deploy();
});
afterAll(async () => client.app.close());

const evil = fc.constantFrom(
  ...["..", "%2e%2e%2f", "%00", "a b", "\u202E", "-rf", "__proto__", "constructor", "%", "%zz"],
  ...["x".repeat(300), "💥", "null", "NaN", "-1", "1e999", "0x10", "", " ", "'", "a&b=c", "[]"],
);
const segment = fc.oneof(
  evil,
  fc.constantFrom(FUNCTION_ID, CALL_ID, CODE_SHA256, "demo", "square"),
  fc.string({ maxLength: 20 }),
);
/** A route's method and path, its parameters filled with what they should and should not be. */
const fill = (template: string) =>
  fc.tuple(segment, segment, fc.boolean()).map(([a, b, isEscaped]) => {
    const put = (text: string): string => (isEscaped ? encodeURIComponent(text) : escapeRaw(text));
    return template.replace("A", () => put(a)).replace("B", () => put(b));
  });
const JSON_ROUTES = [
  "/v1/apps/demo/deployments",
  "/v1/apps/A/deployments",
  "/v1/apps/demo/rollback",
  "/v1/apps/demo/versions?before=0&limit=x",
  "/v1/apps/A/stop",
  "/v1/deployments/A/heartbeat",
  "/v1/containers/A/stop",
  "/v1/calls/A/cancel",
  "/v1/secrets",
];
const FRAME_ROUTES = [
  `/v1/functions/${FUNCTION_ID}/calls`,
  "/v1/functions/A/calls",
  `/v1/calls/${CALL_ID}/inputs`,
];
const GET_ROUTES = [
  `/v1/calls/${CALL_ID}/results`,
  "/v1/calls/A",
  "/v1/apps/A/functions/B",
  "/v1/blobs/A",
  "/v1/plan",
];

const query = fc
  .array(
    fc.tuple(fc.constantFrom("cursor", "limit", "waitMs", "app", "call", "x", "__proto__"), evil),
  )
  .map((pairs) => pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&"));

const loose = fc.anything({
  maxDepth: 4,
  withNullPrototype: false,
  key: fc.constantFrom(
    "args",
    "mode",
    "functions",
    "codeSha256",
    "name",
    "spec",
    "gpu",
    "__proto__",
  ),
});
const jsonBody = fc.oneof(
  fc.json(),
  fc.string(),
  loose.map((value) => safeJson(value)),
  fc.constantFrom("{", "[", "nul", "{}", "null", "[]", '{"__proto__":{}}', "1e999", '"\\ud800"'),
  fc.nat({ max: 20_000 }).map((depth) => "[".repeat(depth) + "]".repeat(depth)),
  loose.map((spec) =>
    safeJson({ mode: "deployed", codeSha256: CODE_SHA256, functions: [{ name: "f", spec }] }),
  ),
);
const frameHeader = fc.oneof(
  loose,
  fc.record(
    {
      callId: fc.oneof(fc.constant(CALL_ID), segment, loose),
      kind: fc.oneof(fc.constantFrom("single", "map"), loose),
      sizes: fc.oneof(
        fc.array(fc.oneof(fc.integer({ min: -2, max: 9 }), fc.double(), loose)),
        loose,
      ),
      final: fc.oneof(fc.boolean(), loose),
      waitMs: fc.oneof(fc.integer(), loose),
      startIndex: fc.oneof(fc.integer(), loose),
    },
    { requiredKeys: [] },
  ),
);
const frameBody = fc.oneof(
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc
    .tuple(frameHeader, fc.uint8Array({ maxLength: 20 }))
    .map(([header, body]) => Buffer.from(encodeFrame(safe(header), [body]))),
);
const jsonSent = jsonBody.map((payload) => ({ type: "application/json", payload }));
const frameSent = frameBody.map((payload) => ({ type: FRAME_MEDIA_TYPE, payload }));
const anySent = fc.oneof(
  jsonSent,
  frameSent,
  frameBody.map((payload) => ({ type: "application/octet-stream", payload })),
  jsonBody.map((payload) => ({ type: "text/html; charset=\u00ff", payload })),
  fc
    .constantFrom("application/json; charset=utf-16", "a/b/c", ";", "multipart/form-data")
    .map((type) => ({ type, payload: "{}" })),
  fc.constant({ type: undefined, payload: undefined }),
);
const anyMethod = fc.constantFrom(
  ...(["GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS"] as const),
);
const anyPath = fc
  .constantFrom(...JSON_ROUTES, ...FRAME_ROUTES, ...GET_ROUTES, "/A", "/v1/agent", "/v1/blobs/A")
  .chain(fill);
const post = fc.constant("POST" as const);

const request = fc.oneof(
  fc.record({
    method: post,
    path: fc.constantFrom(...JSON_ROUTES).chain(fill),
    query,
    body: jsonSent,
  }),
  fc.record({
    method: post,
    path: fc.constantFrom(...FRAME_ROUTES).chain(fill),
    query,
    body: fc.oneof(frameSent, jsonSent),
  }),
  fc.record({
    method: fc.constantFrom(...(["GET", "HEAD"] as const)),
    path: fc.constantFrom(...GET_ROUTES).chain(fill),
    query,
    body: fc.constant({ type: undefined, payload: undefined }),
  }),
  fc.record({ method: anyMethod, path: anyPath, query, body: anySent }),
);

test("no malformed request is the server's fault", async () => {
  await fc.assert(
    fc.asyncProperty(request, async ({ method, path: url, query: search, body: sent }) => {
      const answer = await client.send({
        method,
        url: search === "" ? url : `${url}?${search}`,
        headers: sent.type === undefined ? {} : { "content-type": sent.type },
        ...(sent.payload === undefined ? {} : { payload: sent.payload }),
      });
      if (answer.statusCode < 400) return;
      if (answer.statusCode >= 500) throw new Error(`${answer.statusCode}: ${answer.body}`);
      if (method === "HEAD") return;
      const { detail } = problemIn(answer);
      if (/node_modules|\.ts:\d|\bat \w+ \(/.test(detail)) throw new Error(detail);
    }),
    { numRuns: 600 },
  );
});

/** What a path segment may hold as it is: no `?`, `#` or blank, which end the path. */
function escapeRaw(text: string): string {
  return text.replaceAll(/[^\w.%~:@!$&'()*+,;=-]/g, encodeURIComponentSafely);
}

function encodeURIComponentSafely(text: string): string {
  return /^[\ud800-\udfff]$/.test(text) ? "_" : encodeURIComponent(text);
}

/** JSON of anything; what JSON cannot say becomes null. */
function safeJson(value: unknown): string {
  const text: unknown = JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "bigint" ? String(part) : part,
  );
  return typeof text === "string" ? text : "null";
}

function safe(value: unknown): unknown {
  return JSON.parse(safeJson(value));
}
