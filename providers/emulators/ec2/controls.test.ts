import { createConnection } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "../../fake/index.ts";
import { startEc2Emulator, type Ec2Emulator } from "./index.ts";

let clock: ManualClock;
let emulator: Ec2Emulator;

beforeEach(async () => {
  clock = createManualClock();
  emulator = await startEc2Emulator({ clock, seed: "test" });
});
afterEach(() => emulator.close());

const AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=AKIA/20261123/us-east-1/ec2/aws4_request, x";

const call = (params: Record<string, string>, headers: Record<string, string> = {}) =>
  fetch(emulator.endpoint, {
    method: "POST",
    headers: { authorization: AUTHORIZATION, ...headers },
    body: new URLSearchParams({ Version: "2016-11-15", ...params }),
  });
const runInstances = (params: Record<string, string> = {}) =>
  call({
    Action: "RunInstances",
    MinCount: "1",
    MaxCount: "1",
    ImageId: "ami-01234567",
    InstanceType: "g5.xlarge",
    ...params,
  });
const control = async (method: string, path: string, body?: unknown) => {
  const response = await fetch(`${emulator.endpoint}/_emulator/${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

describe("the control endpoint", () => {
  it("sets delays, capacity and quotas", async () => {
    expect(await control("POST", "settings", { bootMs: 7 })).toEqual({ status: 200, body: {} });
    expect((await control("GET", "settings")).body).toMatchObject({ bootMs: 7, visibilityMs: 0 });
    await control("POST", "capacity", { instanceType: "g5.xlarge", instanceCountMax: 0 });
    expect((await runInstances()).status).toBe(500);
    await control("POST", "capacity", { instanceType: "g5.xlarge" });
    await control("POST", "quota", { quotaGroup: "aws/us-east-1/G/on-demand", vcpuCountMax: 0 });
    expect(await (await runInstances()).text()).toContain("<Code>VcpuLimitExceeded</Code>");
  });

  it("injects faults that match an action, a region and parameters, and clears them", async () => {
    const effect = { kind: "error", code: "RequestLimitExceeded", status: 503 };
    const fault = { effect, when: "before", action: "RunInstances" };
    await control("POST", "faults", { ...fault, params: { InstanceType: "g5.2xlarge" } });
    expect((await runInstances()).status).toBe(200);
    expect((await runInstances({ InstanceType: "g5.2xlarge" })).status).toBe(503);
    await control("POST", "faults", { ...fault, region: "us-west-2" });
    await control("POST", "faults", { ...fault, skipCount: 1, times: 2 });
    expect([(await runInstances()).status, (await runInstances()).status]).toEqual([200, 503]);
    await control("DELETE", "faults");
    expect((await runInstances()).status).toBe(200);
  });

  it("keeps a journal in which a lost reply shows as applied, and no user data", async () => {
    const effect = { kind: "error", code: "InternalError", status: 500 };
    await control("POST", "faults", { effect, when: "after" });
    await runInstances({ UserData: Buffer.from("secret").toString("base64") });
    const { body } = await control("GET", "journal");
    expect(body["entries"]).toMatchObject([
      { action: "RunInstances", applied: true, status: 500, failure: "InternalError", attempt: 1 },
    ]);
    expect(JSON.stringify(body)).not.toContain(Buffer.from("secret").toString("base64"));
    expect((await control("GET", "instances")).body["instances"]).toHaveLength(1);
  });

  it("reclaims spot instances, and explains why it cannot reclaim others", async () => {
    await runInstances({ "InstanceMarketOptions.MarketType": "spot" });
    await runInstances();
    const [spot, steady] = emulator.instances();
    const events: string[] = [];
    const stop = emulator.onInstanceEvent(({ state, reason }) =>
      events.push(`${state} ${reason?.code ?? ""}`),
    );
    expect((await control("POST", "reclaim", { instanceId: spot?.instanceId })).status).toBe(200);
    await clock.advance(0);
    expect(events).toEqual([
      "shutting-down Server.SpotInstanceTermination",
      "terminated Server.SpotInstanceTermination",
    ]);
    stop();
    const refused = await control("POST", "reclaim", { instanceId: steady?.instanceId });
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.body["error"]).toContain("only spot instances");
    expect((await control("POST", "reclaim", { instanceId: "i-0" })).status).toBe(400);
  });

  it.each([
    ["settings", { bootMs: -1 }],
    ["settings", { bootMs: "1" }],
    ["settings", { bootms: 1 }],
    ["capacity", { market: "reserved" }],
    ["capacity", { steps: [{ afterMs: -1 }] }],
    ["faults", { when: "before", effect: { kind: "reset" }, region: "us-east-1" }],
    ["quota", {}],
    ["faults", { when: "before", effect: { kind: "explode" } }],
    ["faults", { when: "before", effect: { kind: "reset" }, times: 0 }],
    ["faults", []],
  ])("rejects a bad body for %s: %j", async (path, body) => {
    const before = emulator.settings();
    const answer = await control("POST", path, body);
    expect(answer.status).toBe(400);
    expect(answer.body["error"]).toBeTruthy();
    expect(emulator.settings()).toEqual(before);
  });

  it("rejects what is no JSON, what a web page could send, and unknown routes", async () => {
    const post = (contentType: string, body: string) =>
      fetch(`${emulator.endpoint}/_emulator/settings`, {
        method: "POST",
        headers: { "content-type": contentType },
        body,
      });
    expect((await post("application/json", "{")).status).toBe(400);
    expect((await post("text/plain", "{}")).status).toBe(415);
    expect((await control("GET", "nothing")).status).toBe(404);
    expect((await control("DELETE", "journal")).status).toBe(404);
  });
});

describe("the EC2 endpoint, to other clients than the SDK", () => {
  it("rejects calls with no credentials, of another version, and with no action", async () => {
    const text = async (response: Promise<Response>) => (await response).text();
    expect(await text(call({ Action: "X" }, { authorization: "" }))).toContain("AuthFailure");
    expect(await text(call({ Action: "X", Version: "1" }))).toContain("NoSuchVersion");
    expect(await text(call({}))).toContain("InvalidAction");
  });

  it("answers 404 to what is no call, and 413 to a body that is too large", async () => {
    expect((await fetch(emulator.endpoint)).status).toBe(404);
    expect((await call({ Action: "x".repeat(4 * 1_048_576) })).status).toBe(413);
  });

  it("serves on after a client that went away in the middle of its request", async () => {
    const { port } = new URL(emulator.endpoint);
    await new Promise<void>((resolve) => {
      const socket = createConnection(Number(port), "127.0.0.1", () => {
        socket.write("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nAct", () => {
          socket.destroy();
          resolve();
        });
      });
    });
    expect((await runInstances()).status).toBe(200);
  });

  it("closes although a client hangs, and closes twice", async () => {
    emulator.injectFault({ when: "before", effect: { kind: "hang" } });
    const hung = runInstances().then(
      () => "answered",
      () => "cut off",
    );
    await expect.poll(() => emulator.journal().length).toBe(1);
    await Promise.all([emulator.close(), emulator.close()]);
    expect(await hung).toBe("cut off");
  });

  it("refuses a port that is taken", async () => {
    const port = Number(new URL(emulator.endpoint).port);
    await expect(startEc2Emulator({ clock, port })).rejects.toThrow("EADDRINUSE");
  });
});
