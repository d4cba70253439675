import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { assert, createRng, type Offer } from "../../core/index.ts";
import { catalogOffers } from "../catalog/index.ts";
import { createManualClock } from "../fake/index.ts";
import { openGcpCalls, type GcpCalls } from "./calls.ts";
import { BULK_DONE_JSON, errorJson, LISTING_JSON, STOCKOUT_JSON } from "./fixtures.ts";
import { providerNodeOf } from "./listing.ts";
import {
  GCP_ERRORS,
  meaningOf,
  meaningOfOperation,
  nodeStateOf,
  OPERATION_ERRORS,
  platformErrorOf,
  scopeOf,
} from "./translate.ts";

interface Replay {
  readonly calls: GcpCalls;
  readonly close: () => Promise<unknown>;
}

const JSON_TYPE = "application/json; charset=UTF-8";

/** Serves one recorded answer to every call, and gives the calls of a real client to it. */
async function replaying(status: number, body: string, type = JSON_TYPE): Promise<Replay> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => {
      response.writeHead(status, { "content-type": type }).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const calls = await openGcpCalls({
    projectId: "p",
    clock: createManualClock(),
    rng: createRng(1),
    endpoint: `http://127.0.0.1:${String(port)}`,
    credentials: { kind: "anonymous" },
  });
  const close = async (): Promise<unknown> => {
    await calls.close();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { calls, close };
}

let replay: Replay | undefined;
afterEach(async () => {
  await replay?.close();
  replay = undefined;
});

const answering = async (...answer: Parameters<typeof replaying>): Promise<GcpCalls> => {
  replay = await replaying(...answer);
  return replay.calls;
};

describe("error reasons of Compute Engine", () => {
  const thrownBy = async (...answer: Parameters<typeof replaying>): Promise<unknown> =>
    failureOf((await answering(...answer)).deleteInstance("us-central1-a", "no-1"));

  it("have one row each, as have codes of operations", () => {
    for (const table of [GCP_ERRORS, OPERATION_ERRORS]) {
      const codes = table.map(({ code }) => code);
      expect(new Set(codes).size).toBe(codes.length);
      expect(table.every(({ source }) => source.length > 0)).toBe(true);
    }
  });

  it.each([
    [403, "quotaExceeded", { kind: "refused", scope: "quota" }],
    [403, "forbidden", { kind: "failed", code: "auth_failed", retryable: false }],
    [401, "authError", { kind: "failed", code: "auth_failed", retryable: false }],
    [404, "notFound", { kind: "failed", code: "not_found", retryable: false }],
    [409, "alreadyExists", { kind: "exists" }],
    [412, "conditionNotMet", { kind: "failed", code: "conflict", retryable: false }],
    [400, "invalid", { kind: "failed", code: "invalid_request", retryable: false }],
    [503, "backendError", { kind: "failed", code: "unavailable", retryable: true }],
    [400, "somethingNew", { kind: "failed", code: "invalid_request", retryable: false }],
    [403, "somethingNew", { kind: "failed", code: "auth_failed", retryable: false }],
    [409, "somethingNew", { kind: "failed", code: "conflict", retryable: false }],
    [500, "somethingNew", { kind: "failed", code: "unavailable", retryable: true }],
  ])("a recorded %i %s is understood", async (status, reason, meaning) => {
    const error = await thrownBy(status, errorJson(status, reason, `about ${reason}`));
    expect(meaningOf(error)).toEqual(meaning);
  });

  it("a 5xx with a proxy's page is an outage, and so is a 200 with one", async () => {
    const page = "<html><body>Bad gateway</body></html>";
    expect(meaningOf(await thrownBy(502, page, "text/html"))).toMatchObject({
      code: "unavailable",
    });
    await replay?.close();
    expect(meaningOf(await thrownBy(200, page, "text/html"))).toMatchObject({
      code: "unavailable",
    });
  });

  it("nobody listening is an outage", async () => {
    const { calls, close } = await replaying(200, "{}");
    await close();
    const error = await failureOf(calls.deleteInstance("us-central1-a", "no-1"));
    expect(meaningOf(error)).toEqual({ kind: "failed", code: "unavailable", retryable: true });
  });

  it("missing credentials are told from an outage", () => {
    const error = Object.assign(new Error("Could not load the default credentials. Browse to"), {
      code: 14,
    });
    expect(meaningOf(error)).toMatchObject({ code: "auth_failed", retryable: false });
  });

  it("a platform error says what was attempted, and keeps reason and status", async () => {
    const error = await thrownBy(403, errorJson(403, "forbidden", "You may not."));
    const translated = platformErrorOf(error, "release a/b/1", { zone: "a" });
    expect(translated.message).toBe(
      "could not release a/b/1: forbidden: You may not.; " +
        "check this machine's Google Cloud credentials and their permissions",
    );
    expect(translated.details).toEqual({ zone: "a", reason: "forbidden", httpStatus: 403 });
    expect(translated.cause).toBe(error);
  });

  it("a bug is thrown on as it is", () => {
    const bug = new TypeError("x is not a function");
    expect(meaningOf(bug)).toBeUndefined();
    expect(() => platformErrorOf(bug, "do it", {})).toThrow(bug);
  });
});

describe("recorded operations", () => {
  it("give the error of one that failed, which the client does not throw", async () => {
    const calls = await answering(200, STOCKOUT_JSON);
    const operation = await calls.waitOperation("us-central1-a", "operation-1");
    const [first] = operation.error?.errors ?? [];
    expect(first?.code).toBe("ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS");
    expect(operation.targetId).toBe("7000000000000000003");
  });

  it("give the counts of a bulk insert", async () => {
    const calls = await answering(200, BULK_DONE_JSON);
    const operation = await calls.waitOperation("us-central1-a", "operation-1");
    expect(operation.name).toBe("operation-1795465863770-2a51e7f0a996");
    expect(operation.instancesBulkInsertOperationMetadata?.perLocationStatus).toMatchObject({
      "zones/us-central1-a": { targetVmCount: 3, createdVmCount: 2 },
    });
  });
});

describe("what an operation's error speaks of", () => {
  const offerOf = (offerId: string): Offer => {
    const offer = catalogOffers({ cloud: "gcp", emulated: false }).find(
      (one) => one.offerId === offerId,
    );
    assert(offer !== undefined, `the catalog has ${offerId}`);
    return offer;
  };
  const spot = offerOf("gcp/us-central1/us-central1-a/a3-highgpu-8g/spot");
  const own = { kind: "quota", quotaGroup: "gcp/us-central1/NVIDIA_H100_GPUS/spot" };
  const quota = (metric: string, where: string) =>
    `Quota '${metric}' exceeded.  Limit: 8.0 ${where}.`;

  it.each([
    ["ZONE_RESOURCE_POOL_EXHAUSTED", "short", { kind: "offer" }],
    ["ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS", "short", { kind: "offer" }],
    ["UNSUPPORTED_OPERATION", "preempted while creating", { kind: "offer" }],
    ["IP_SPACE_EXHAUSTED", "no addresses", { kind: "offer" }],
    ["SOMETHING_NEW", "who knows", { kind: "offer" }],
    ["QUOTA_EXCEEDED", quota("PREEMPTIBLE_NVIDIA_H100_GPUS", "in region us-central1"), own],
    ["QUOTA_EXCEEDED", quota("IN_USE_ADDRESSES", "in region us-central1"), own],
    ["QUOTA_EXCEEDED", "worded in another way", own],
    ["QUOTA_EXCEEDED", quota("GPUS_ALL_REGIONS", "globally"), { kind: "cloud" }],
  ])("%s (%s)", (code, message, scope) => {
    const meaning = meaningOfOperation({ code, message });
    assert(meaning.kind === "refused", "these are refusals");
    expect(scopeOf(meaning, `${code}: ${message}`, spot)).toEqual(scope);
  });

  it.each([
    ["PERMISSIONS_ERROR", { kind: "failed", code: "auth_failed" }],
    ["VPC_NOT_FOUND", { kind: "failed", code: "invalid_request" }],
    ["RESOURCE_ALREADY_EXISTS", { kind: "exists" }],
    ["RESOURCE_OPERATION_RATE_EXCEEDED", { kind: "failed", code: "rate_limited" }],
  ])("%s is no refusal", (code, meaning) => {
    expect(meaningOfOperation({ code, message: "" })).toMatchObject(meaning);
  });
});

describe("a recorded listing", () => {
  it("gives states, our ids, tags and launch times, also of machines that are not ours", async () => {
    const calls = await answering(200, LISTING_JSON);
    const nodes = (await calls.aggregateInstances("")).items.map(providerNodeOf);
    expect(nodes).toEqual([
      {
        providerNodeId: "us-central1-a/no-1/4567890123456789012",
        nodeId: "no_1",
        clientToken: "token-1",
        state: "running",
        launchedAtMs: Date.UTC(2026, 10, 23, 20, 28, 5, 396),
        tags: { "flotilla:batch": "token-1", "flotilla:cluster": "c1", empty: "" },
      },
      {
        providerNodeId: "us-central1-a/web--1/4567890123456789013",
        state: "terminating",
        launchedAtMs: Date.UTC(2026, 10, 23, 20, 28, 6),
        tags: {},
      },
    ]);
  });

  it.each([
    ["PROVISIONING", "booting"],
    ["STAGING", "booting"],
    ["RUNNING", "running"],
    ["STOPPING", "terminating"],
    ["SUSPENDED", "terminating"],
    ["TERMINATED", "terminating"],
    ["SOMETHING_NEW", "terminating"],
    [undefined, "terminating"],
  ])("reads the status %s as %s", (status, state) => {
    expect(nodeStateOf(status)).toBe(state);
  });
});

async function failureOf(attempt: Promise<unknown>): Promise<unknown> {
  const [settled] = await Promise.allSettled([attempt]);
  assert(settled.status === "rejected", "the recorded answer is an error");
  return settled.reason;
}
