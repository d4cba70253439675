import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { assert, createRng } from "../../core/index.ts";
import { createManualClock } from "../fake/index.ts";
import { RateLimiter } from "../rate-limit.ts";
import { DEFAULT_AWS_TIMEOUTS, openEc2Calls, type Ec2Calls } from "./calls.ts";
import { errorXml, LISTING_XML } from "./fixtures.ts";
import { ec2LimitOf } from "./limits.ts";
import { listInstances, providerNodeOf } from "./listing.ts";
import { EC2_ERRORS, meaningOf, nodeStateOf, platformErrorOf } from "./translate.ts";

/** Serves one recorded answer to every call, and gives the calls of a real SDK client to it. */
async function replaying(status: number, body: string) {
  const server: Server = createServer((request, response) => {
    request.resume().on("end", () => {
      const headers = { "content-type": "text/xml", "x-amzn-requestid": "r-1" };
      response.writeHead(status, headers).end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const calls = await openEc2Calls({
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${String(port)}`,
    credentials: { accessKeyId: "AKIAFAKE", secretAccessKey: "fake" },
    timeouts: DEFAULT_AWS_TIMEOUTS,
    limiter: new RateLimiter({
      clock: createManualClock(),
      rng: createRng(1),
      limitOf: ec2LimitOf,
      waitMsMax: 0,
    }),
  });
  const close = () =>
    new Promise((resolve) => {
      calls.close();
      server.closeAllConnections();
      server.close(resolve);
    });
  return { calls, close };
}

describe("EC2 error codes", () => {
  let close: (() => Promise<unknown>) | undefined;
  afterEach(async () => {
    await close?.();
    close = undefined;
  });

  const thrownBy = async (status: number, body: string): Promise<unknown> => {
    const replay = await replaying(status, body);
    close = replay.close;
    return failureOf(replay.calls);
  };

  it("have one row each", () => {
    const codes = EC2_ERRORS.map(({ code }) => code);
    expect(new Set(codes).size).toBe(codes.length);
    expect(EC2_ERRORS.every(({ source }) => source.length > 0)).toBe(true);
  });

  it.each([
    [400, "InsufficientInstanceCapacity", { kind: "refused", scope: "offer" }],
    [400, "Unsupported", { kind: "refused", scope: "offer" }],
    [400, "SpotMaxPriceTooLow", { kind: "refused", scope: "offer" }],
    [400, "VcpuLimitExceeded", { kind: "refused", scope: "quota" }],
    [400, "MaxSpotInstanceCountExceeded", { kind: "refused", scope: "quota" }],
    [401, "AuthFailure", { kind: "failed", code: "auth_failed", retryable: false }],
    [403, "UnauthorizedOperation", { kind: "failed", code: "auth_failed", retryable: false }],
    [400, "OptInRequired", { kind: "failed", code: "auth_failed", retryable: false }],
    [400, "IdempotentParameterMismatch", { kind: "failed", code: "conflict", retryable: false }],
    [400, "InvalidInstanceID.NotFound", { kind: "failed", code: "not_found", retryable: false }],
    [400, "InvalidAMIID.NotFound", { kind: "failed", code: "invalid_request", retryable: false }],
    [400, "SomethingNew", { kind: "failed", code: "invalid_request", retryable: false }],
    [403, "SomethingNew", { kind: "failed", code: "auth_failed", retryable: false }],
    [429, "SomethingNew", { kind: "failed", code: "rate_limited", retryable: true }],
  ])("a recorded %i %s is understood", async (status, code, meaning) => {
    const error = await thrownBy(status, errorXml(code, `about ${code}`));
    expect(meaningOf(error)).toEqual(meaning);
  });

  it("a 5xx with a proxy's page is an outage", async () => {
    const error = await thrownBy(502, "<html><body>Bad gateway</body></html>");
    expect(meaningOf(error)).toEqual({ kind: "failed", code: "unavailable", retryable: true });
  });

  it("nobody listening is an outage", async () => {
    const replay = await replaying(200, "");
    await replay.close();
    const { calls } = await replaying(200, "");
    calls.close();
    const error = await failureOf(replay.calls);
    expect(meaningOf(error)).toMatchObject({ kind: "failed", retryable: true });
  });

  it("a platform error says what was attempted, on what, and keeps the request id", async () => {
    const error = await thrownBy(403, errorXml("UnauthorizedOperation", "You may not."));
    const translated = platformErrorOf(error, "list instances in us-east-1", { region: "r" });
    expect(translated.message).toBe(
      "could not list instances in us-east-1: UnauthorizedOperation: You may not.; " +
        "check this account's credentials and its permissions for EC2",
    );
    expect(translated.details).toEqual({
      region: "r",
      ec2Code: "UnauthorizedOperation",
      httpStatus: 403,
      requestId: "r-1",
    });
    expect(translated.cause).toBe(error);
  });

  it("a bug is thrown on as it is", () => {
    const bug = new TypeError("x is not a function");
    expect(meaningOf(bug)).toBeUndefined();
    expect(() => platformErrorOf(bug, "do it", {})).toThrow(bug);
  });
});

describe("a recorded listing", () => {
  it("gives states, our ids and launch times, also of instances that were shown the door", async () => {
    const { calls, close } = await replaying(200, LISTING_XML);
    const nodes = (await listInstances(calls, [])).map((one) => providerNodeOf("us-east-1", one));
    await close();
    expect(nodes).toEqual([
      {
        providerNodeId: "us-east-1/i-0aaaaaaaaaaaaaaa1",
        nodeId: "no_1",
        state: "running",
        launchedAtMs: Date.UTC(2026, 10, 23, 20, 28, 5, 396),
        tags: { "flotilla:node": "no_1", empty: "" },
      },
      {
        providerNodeId: "us-east-1/i-0aaaaaaaaaaaaaaa2",
        state: "terminated",
        launchedAtMs: Date.UTC(2026, 10, 23, 20, 28, 6),
        tags: {},
      },
    ]);
  });

  it.each([
    ["pending", "booting"],
    ["running", "running"],
    ["shutting-down", "terminating"],
    ["stopping", "terminating"],
    ["stopped", "terminating"],
    ["terminated", "terminated"],
    [undefined, "terminating"],
  ])("reads the state %s as %s", (name, state) => {
    expect(nodeStateOf(name)).toBe(state);
  });
});

async function failureOf(calls: Ec2Calls): Promise<unknown> {
  const settled = await Promise.allSettled([calls.describeInstances({})]);
  assert(settled[0].status === "rejected", "the recorded answer is an error");
  return settled[0].reason;
}
