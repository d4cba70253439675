import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeClock, until } from "../fake/clock.ts";
import { openCloudMetadata, type MetadataCloud } from "./cloud-metadata.ts";
import { InterruptionWatch } from "./interruption-watch.ts";

type Service = (request: IncomingMessage, response: ServerResponse) => void;

let server: Server;
let service: Service;
let clock: FakeClock;

beforeEach(async () => {
  clock = new FakeClock();
  server = createServer((request, response) => service(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const open = (cloud: MetadataCloud) =>
  openCloudMetadata(cloud, {
    clock,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });

describe("on EC2", () => {
  let token: string;
  let tokenCount: number;
  let notice: string | undefined;
  let advice: string | undefined;

  beforeEach(() => {
    [token, tokenCount, notice, advice] = ["one", 0, undefined, undefined];
    service = ({ method, url, headers }, response) => {
      if (method === "PUT" && url === "/latest/api/token") {
        tokenCount += 1;
        response.end(token);
      } else if (headers["x-aws-ec2-metadata-token"] !== token) response.writeHead(401).end();
      else if (url === "/latest/meta-data/instance-id") response.end("i-0abc");
      else if (url === "/latest/meta-data/spot/instance-action" && notice !== undefined) {
        response.end(notice);
      } else if (url?.endsWith("/events/recommendations/rebalance") === true && advice) {
        response.end(advice);
      } else response.writeHead(404).end();
    };
  });

  test("a machine knows its id, and no interruption before there is one", async () => {
    const metadata = open("aws");
    expect(await metadata.machineIds()).toEqual(["i-0abc"]);
    expect(await metadata.interruption()).toBeUndefined();
    expect(tokenCount).toBe(1);
  });

  test("S24: a machine learns when it will be taken back", async () => {
    notice = '{"action":"terminate","time":"2026-01-01T08:22:00Z"}';
    expect(await open("aws").interruption()).toBe(Date.UTC(2026, 0, 1, 8, 22));
  });

  test("a machine learns since when it has been advised to leave, which is no interruption", async () => {
    const metadata = open("aws");
    expect(await metadata.riskSince()).toBeUndefined();
    advice = '{"noticeTime":"2026-01-01T08:20:00Z"}';
    expect(await metadata.riskSince()).toBe(Date.UTC(2026, 0, 1, 8, 20));
    expect(await metadata.interruption()).toBeUndefined();
  });

  test("a session that is over is opened again", async () => {
    const metadata = open("aws");
    await metadata.machineIds();
    token = "two";
    expect(await metadata.machineIds()).toEqual(["i-0abc"]);
    expect(tokenCount).toBe(2);
  });

  test("a service that lets nobody in is named, and not asked for ever", async () => {
    service = (_, response) => response.writeHead(401).end();
    await expect(open("aws").machineIds()).rejects.toMatchObject({
      name: "PlatformError",
      code: "unavailable",
      message: expect.stringContaining(
        "is this the cloud that the agent's settings name?",
      ) as string,
    });
  });
});

test("on Compute Engine a machine is preempted half a minute from the first notice", async () => {
  let preempted = "FALSE";
  service = ({ url, headers }, response) => {
    const answers: Readonly<Record<string, string>> = {
      "/computeMetadata/v1/instance/id": "42",
      "/computeMetadata/v1/instance/name": "no-1",
      "/computeMetadata/v1/instance/preempted": preempted,
    };
    if (headers["metadata-flavor"] !== "Google") response.writeHead(403).end();
    else response.end(answers[url ?? ""]);
  };
  const metadata = open("gcp");
  expect(await metadata.machineIds()).toEqual(["42", "no-1"]);
  expect(await metadata.interruption()).toBeUndefined();
  preempted = "TRUE";
  const deadlineMs = clock.nowMs() + 30_000;
  expect(await metadata.interruption()).toBe(deadlineMs);
  clock.now += 5_000;
  expect(await metadata.interruption()).toBe(deadlineMs);
});

test("on Azure a machine is preempted when its event says, and other events are no reason", async () => {
  let events: readonly object[] = [];
  service = ({ url = "", headers }, response) => {
    if (headers["metadata"] !== "true") response.writeHead(400).end();
    else if (url.startsWith("/metadata/instance/compute?")) {
      response.end(JSON.stringify({ vmId: "v-1", name: "no-1" }));
    } else response.end(JSON.stringify({ DocumentIncarnation: 1, Events: events }));
  };
  const metadata = open("azure");
  expect(await metadata.machineIds()).toEqual(["v-1", "no-1"]);
  events = [{ EventType: "Freeze", NotBefore: "Mon, 19 Sep 2026 18:29:47 GMT" }];
  expect(await metadata.interruption()).toBeUndefined();
  events = [...events, { EventType: "Preempt", NotBefore: "Mon, 19 Sep 2026 18:30:00 GMT" }];
  expect(await metadata.interruption()).toBe(Date.UTC(2026, 8, 19, 18, 30));
});

test("a watch asks again and again, tells each time, and complains once of a service that fails", async () => {
  const answers: (number | Error | undefined)[] = [undefined, new Error("down"), 9_000, 9_000];
  const notices: number[] = [];
  const risks: number[] = [];
  const errors: string[] = [];
  let askedCount = 0;
  const watch = new InterruptionWatch({
    metadata: {
      machineIds: () => Promise.resolve([]),
      riskSince: () => Promise.resolve(askedCount < 3 ? undefined : 8_000),
      interruption: () => {
        const answer = answers[askedCount];
        askedCount += 1;
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
      },
    },
    clock,
    onNotice: (deadlineMs) => notices.push(deadlineMs),
    onRisk: (sinceMs) => risks.push(sinceMs),
    onError: (_, doing) => errors.push(doing),
  });
  const running = watch.run();
  await until(() => askedCount >= answers.length, "the watch has asked for everything");
  watch.close();
  await running;
  expect(notices).toEqual([9_000, 9_000]);
  expect(risks).toEqual([8_000]);
  expect(errors).toEqual(["looking for interruptions"]);
});
