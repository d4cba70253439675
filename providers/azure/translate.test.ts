import { afterEach, describe, expect, it } from "vitest";
import { assert, createRng } from "../../core/index.ts";
import { startLoopbackServer, type LoopbackServer } from "../emulators/shared/loopback-server.ts";
import { createManualClock } from "../fake/index.ts";
import { azureLimitOf, DEFAULT_AZURE_TIMEOUTS, openAzureCalls, type AzureCalls } from "./calls.ts";
import {
  errorJson,
  FAILED_OPERATION,
  MACHINES_JSON,
  QUOTA_MESSAGES,
  STATES_JSON,
} from "./fixtures.ts";
import { listMachines, providerNodeOf } from "./listing.ts";
import {
  AZURE_ERRORS,
  createFailureOf,
  failureOfDocument,
  meaningOf,
  meaningOfCreate,
  nodeStateOf,
  platformErrorOf,
  throttleOf,
} from "./translate.ts";

let server: LoopbackServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Recorded {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The calls of real SDK clients to a server that gives recorded answers. */
async function replaying(answer: (path: string) => Recorded): Promise<AzureCalls> {
  server = await startLoopbackServer(0, (request) => {
    const { status, body, headers } = answer(`${request.url.pathname}${request.url.search}`);
    const type = { "content-type": "application/json" };
    return Promise.resolve({ status, body, headers: { ...type, ...headers } });
  });
  return openAzureCalls({
    subscriptionId: "sub-1",
    resourceGroup: "group-1",
    endpoint: server.endpoint,
    credential: { getToken: () => Promise.resolve({ token: "t", expiresOnTimestamp: 4e12 }) },
    timeouts: DEFAULT_AZURE_TIMEOUTS,
    clock: createManualClock(),
    rng: createRng(1),
    limitOf: azureLimitOf,
  });
}

/** What a create is answered with, as the SDK throws it. */
async function thrownBy(recorded: Recorded): Promise<unknown> {
  const calls = await replaying(() => recorded);
  const [result] = await Promise.allSettled([calls.createMachine("no-1", { location: "eastus" })]);
  assert(result.status === "rejected", "the recorded answer is an error");
  return result.reason;
}

describe("Azure error codes", () => {
  it("have a source each, and no row that another hides", () => {
    const keys = AZURE_ERRORS.map(({ code, message, status }) =>
      [code, message?.source, status].join("|"),
    );
    expect(new Set(keys).size).toBe(keys.length);
    expect(AZURE_ERRORS.every(({ source }) => source.length > 0)).toBe(true);
    for (const [index, { code }] of AZURE_ERRORS.entries()) {
      const open = AZURE_ERRORS.findIndex(
        (one) => one.code === code && one.message === undefined && one.status === undefined,
      );
      expect(open === -1 || open >= index, `${code} is hidden by an earlier row`).toBe(true);
    }
  });

  it.each([
    [409, "SkuNotAvailable", "x", { kind: "refused", scope: "offer" }],
    [409, "AllocationFailed", "x", { kind: "refused", scope: "offer" }],
    [409, "ZonalAllocationFailed", "x", { kind: "refused", scope: "offer" }],
    [409, "OverconstrainedAllocationRequest", "x", { kind: "refused", scope: "offer" }],
    [409, "OverconstrainedZonalAllocationRequest", "x", { kind: "refused", scope: "offer" }],
    [409, "OperationNotAllowed", QUOTA_MESSAGES.spot, { kind: "refused", scope: "all-spot" }],
    [409, "OperationNotAllowed", QUOTA_MESSAGES.family, { kind: "refused", scope: "family" }],
    [409, "OperationNotAllowed", QUOTA_MESSAGES.region, { kind: "refused", scope: "region" }],
    [409, "QuotaExceeded", QUOTA_MESSAGES.region, { kind: "refused", scope: "region" }],
    [409, "QuotaExceeded", "something new", { kind: "refused", scope: "family" }],
    [409, "AzureSpotFeatureNotEnabledForSubscription", "x", { kind: "refused", scope: "all-spot" }],
    [409, "ReadOnlyDisabledSubscription", "x", { kind: "refused", scope: "cloud" }],
    [
      409,
      "OperationNotAllowed",
      "The VM is marked for deletion.",
      { kind: "failed", code: "conflict", retryable: true },
    ],
    [403, "AuthorizationFailed", "x", { kind: "failed", code: "auth_failed", retryable: false }],
    [401, "SomethingNew", "x", { kind: "failed", code: "auth_failed", retryable: false }],
    [404, "ResourceNotFound", "x", { kind: "failed", code: "not_found", retryable: false }],
    [404, "ResourceGroupNotFound", "x", { kind: "failed", code: "invalid_request" }],
    [400, "InvalidParameter", "x", { kind: "failed", code: "invalid_request", retryable: false }],
    [400, "NicReservedForAnotherVm", "x", { kind: "failed", code: "conflict", retryable: true }],
  ])("a recorded %i %s is understood", async (status, code, message, meaning) => {
    const error = await thrownBy({ status, body: errorJson(code, message) });
    expect(meaningOf(error)).toMatchObject(meaning);
    expect(throttleOf(error)).toBeUndefined();
  });

  it("a 5xx with a proxy's page is an outage", async () => {
    const error = await thrownBy({ status: 502, body: "<html>Bad gateway</html>" });
    expect(meaningOf(error)).toEqual({ kind: "failed", code: "unavailable", retryable: true });
  });

  it("nobody listening is an outage", async () => {
    const calls = await replaying(() => ({ status: 200, body: "{}" }));
    await server?.close();
    server = undefined;
    const [result] = await Promise.allSettled([calls.getMachine("no-1")]);
    assert(result.status === "rejected", "nobody answers");
    expect(meaningOf(result.reason)).toMatchObject({ kind: "failed", code: "unavailable" });
  });

  it("OperationNotAllowed with 429 is a throttle, and says how long to wait", async () => {
    let answers = 0;
    const calls = await replaying(() => {
      answers += 1;
      const headers = { "retry-after": "300" };
      return { status: 429, body: errorJson("OperationNotAllowed", "slow down"), headers };
    });
    const [result] = await Promise.allSettled([calls.getMachine("no-1")]);
    assert(result.status === "rejected", "the limiter gives up rather than wait 300 s");
    expect(throttleOf(result.reason)).toEqual({ retryAfterMs: 300_000 });
    expect(answers).toBe(1);
  });

  it("a platform error says what was attempted, on what, and what to do", async () => {
    const body = errorJson("AuthorizationFailed", "The client may not.");
    const error = await thrownBy({ status: 403, body });
    const translated = platformErrorOf(error, "list the machines", { region: "r" });
    expect(translated.message).toBe(
      "could not list the machines: AuthorizationFailed: The client may not.; " +
        "check this account's credentials and its role in the resource group",
    );
    expect(translated.details).toEqual({
      region: "r",
      azureCode: "AuthorizationFailed",
      httpStatus: 403,
    });
    expect(translated.cause).toBe(error);
  });

  it("missing credentials are an auth failure, and a bug is thrown on as it is", () => {
    const missing = Object.assign(new Error("no credential"), {
      name: "CredentialUnavailableError",
    });
    expect(meaningOf(missing)).toMatchObject({ code: "auth_failed", retryable: false });
    const bug = new TypeError("x is not a function");
    expect(meaningOf(bug)).toBeUndefined();
    expect(() => platformErrorOf(bug, "do it", {})).toThrow(bug);
  });
});

describe("a failed operation", () => {
  it("keeps its outer code, which the SDK's error has lost, and all messages", async () => {
    const calls = await replaying((path) =>
      path.includes("/operations/")
        ? { status: 200, body: JSON.stringify(FAILED_OPERATION) }
        : {
            status: 201,
            body: JSON.stringify({ name: "no-1", properties: { provisioningState: "Creating" } }),
            headers: {
              "azure-asyncoperation": `${server?.endpoint ?? ""}/subscriptions/sub-1/providers/Microsoft.Compute/locations/eastus/operations/op-1?api-version=1`,
            },
          },
    );
    const operation = await calls.createMachine("no-1", { location: "eastus" });
    expect(await operation.poll()).toEqual({
      kind: "failed",
      failure: {
        code: "OverconstrainedAllocationRequest",
        message:
          "Allocation failed. VM(s) with the following constraints cannot be allocated. " +
          "No cluster has the size.",
      },
    });
  });

  it("of a kind we do not know is taken for a shortage, a throttle is not", () => {
    const unknown = { code: "OSProvisioningTimedOut", message: "" };
    expect(meaningOfCreate(unknown)).toEqual({ kind: "refused", scope: "offer" });
    expect(meaningOfCreate({ code: "TooManyRequests", message: "" })).toMatchObject({
      code: "rate_limited",
    });
  });

  it("without an error document keeps the words of the SDK", () => {
    expect(failureOfDocument({ status: "Canceled" }, "it was canceled")).toEqual({
      code: "",
      message: "it was canceled",
    });
  });

  it("is told by the instance view of a machine too", () => {
    const code = "ProvisioningState/failed/AllocationFailed";
    const instanceView = { statuses: [{ code, message: "Allocation failed." }] };
    expect(createFailureOf({ location: "eastus", instanceView })).toEqual({
      code: "AllocationFailed",
      message: "Allocation failed.",
    });
    expect(createFailureOf({ location: "eastus" }).code).toBe("");
  });
});

describe("a recorded listing", () => {
  it("gives states, our ids and launch times, also of machines that lost their tags", async () => {
    const calls = await replaying((path) => ({
      status: 200,
      body: path.includes("statusOnly=true") ? STATES_JSON : MACHINES_JSON,
    }));
    const scope = { clusterId: "c", regions: ["eastus"], clock: createManualClock(0) };
    const nodes = (await listMachines(calls, scope)).machines.map(providerNodeOf);
    expect(nodes).toEqual([
      {
        providerNodeId: "eastus/no-1-0a1b2c3d",
        nodeId: "no_1",
        clientToken: "t-1",
        state: "booting",
        launchedAtMs: Date.UTC(2026, 10, 20, 10, 0, 0, 500),
        tags: { "flotilla:cluster": "c", "flotilla:node": "no_1", "flotilla:batch": "t-1" },
      },
      {
        providerNodeId: "eastus/no-2-0a1b2c3e",
        state: "terminating",
        launchedAtMs: 0,
        tags: { "flotilla:cluster": "c" },
      },
    ]);
  });

  it.each([
    ["Creating", undefined, "booting"],
    ["Creating", "running", "booting"],
    ["Succeeded", "running", "running"],
    ["Succeeded", undefined, "running"],
    ["Updating", "running", "running"],
    ["Succeeded", "deallocated", "terminating"],
    ["Succeeded", "stopped", "terminating"],
    ["Deleting", "running", "terminating"],
    ["Failed", undefined, "terminating"],
    [undefined, undefined, "terminating"],
  ])("reads %s and %s as %s", (provisioningState, powerState, state) => {
    expect(nodeStateOf(provisioningState, powerState)).toBe(state);
  });
});
