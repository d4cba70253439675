/** What only shows on a real connection: streams, clients that leave, closing, upgrades. */
import { get, request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeFrame, FRAME_MEDIA_TYPE, type PlatformEvent } from "../../sdk/protocol/index.ts";
import { ABC, callHeader, CALLS, createFakeClient, type FakeClient } from "./fake-client.ts";
import type { FakePlatform } from "./fake-services.ts";
import { deploymentSchema, problemSchema } from "./wire-schemas.ts";

const HOST = "127.0.0.1";

let client: FakeClient;
let platform: FakePlatform;
let port: number;

beforeEach(async () => {
  client = await createFakeClient();
  platform = client.platform;
  await client.app.listen({ host: HOST, port: 0 });
  // A TCP server's address is an object.
  ({ port } = client.app.server.address() as AddressInfo);
});

afterEach(async () => {
  await client.app.close();
});

const authorization = () => ({ authorization: `Bearer ${platform.userToken}` });

const open = async (path: string, more: Record<string, string> = {}): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const headers = { ...authorization(), ...more };
    get({ port, host: HOST, path, headers }, resolve).on("error", reject);
  });

const textOf = async (response: IncomingMessage): Promise<string> => {
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
};

/** A waiting call; `answered` is its status, undefined when the connection broke. */
const beginCall = () => {
  const headers = { ...authorization(), "content-type": FRAME_MEDIA_TYPE };
  const request = httpRequest({ port, host: HOST, path: CALLS, method: "POST", headers });
  const answered = new Promise<number | undefined>((resolve) => {
    request.on("error", () => resolve(undefined));
    request.on("response", (response) => {
      response.resume();
      resolve(response.statusCode);
    });
  });
  request.end(encodeFrame(callHeader({ waitMs: 30_000 }), [ABC]));
  return { request, answered };
};

/** Sends bytes and gives what comes back, until the end or the switch of protocols. */
const raw = async (text: string): Promise<string> => {
  const socket = connect(port, HOST);
  socket.write(text);
  let answer = "";
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes("101 Switching")) break;
  }
  socket.destroy();
  return answer;
};

const log = (eventId: string, appId?: string): PlatformEvent => ({
  eventId,
  atMs: 1,
  kind: "log",
  stream: "stdout",
  text: "line\nline",
  sequence: 1,
  ...(appId === undefined ? {} : { appId }),
});

const idsIn = (text: string) => [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id);

test("events come as server-sent events, one JSON line each", async () => {
  const { appId } = deploymentSchema.parse((await client.deploy()).json());
  platform.events = [log("1-0", appId), log("2-0", appId)];
  const response = await open("/v1/events?app=demo&after=0");
  expect(response.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  const text = await textOf(response);
  expect(idsIn(text)).toEqual(["1-0", "2-0"]);
  const [data = ""] = text.match(/(?<=^data: ).*$/m) ?? [];
  expect(JSON.parse(data)).toEqual(platform.events[0]);
  expect(platform.reads).toEqual([{ filter: { appId }, after: "0" }]);
});

test("a reader that comes back resumes where it was, not where it began", async () => {
  await textOf(await open("/v1/events?after=5-0", { "last-event-id": "9-3" }));
  expect(platform.reads[0]?.after).toBe("9-3");
});

test("events of other workspaces are left out, events of the platform are not", async () => {
  const { appId } = deploymentSchema.parse((await client.deploy()).json());
  const pending = { eventId: "4-0", atMs: 1, kind: "call.pending", reason: "r" } as const;
  const hidden = { ...log("3-0"), containerId: "co_1" };
  platform.events = [log("1-0", appId), log("2-0", "ap_other"), hidden, pending];
  expect(idsIn(await textOf(await open("/v1/events")))).toEqual(["1-0", "4-0"]);
});

test("a wrong event id or filter is a problem", async () => {
  for (const query of ["after=abc", "call=1", "app=..%2f", "since=1"]) {
    const response = await open(`/v1/events?${query}`);
    expect(response.statusCode).toBe(400);
    expect(problemSchema.parse(JSON.parse(await textOf(response))).code).toBe("invalid_request");
  }
});

test("a client that leaves ends its waiting call and its stream", async () => {
  platform.holdCalls = true;
  platform.holdEvents = true;
  const { request } = beginCall();
  const stream = await open("/v1/events");
  await expect.poll(() => platform.waiting).toBe(2);
  request.destroy();
  stream.destroy();
  await expect.poll(() => platform.waiting).toBe(0);
});

test("closing lets waiting calls answer, ends streams and takes nothing more", async () => {
  platform.holdCalls = true;
  platform.holdEvents = true;
  const streamText = textOf(await open("/v1/events"));
  const { answered } = beginCall();
  await expect.poll(() => platform.waiting).toBe(2);
  await client.app.close();
  expect(await answered).toBe(200);
  await streamText;
  expect(platform.waiting).toBe(0);
  await expect(open("/health")).rejects.toThrow();
});

test("closing cuts the links of agents", async () => {
  const socket = connect(port, HOST);
  const ended = new Promise((resolve) => socket.once("close", resolve));
  socket.write(
    "GET /v1/agent HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
  );
  await new Promise((resolve) => socket.once("data", resolve));
  await client.app.close();
  await ended;
});

test("a WebSocket upgrade reaches the gateway on its path only", async () => {
  const upgrade = async (path: string) =>
    raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n`);
  expect(await upgrade("/v1/agent?x=1")).toMatch(/^HTTP\/1.1 101/);
  const refused = await upgrade("/v1/events");
  expect(refused).toMatch(/^HTTP\/1.1 404 Not found\r\n/);
  expect(refused).toContain("application/problem+json");
});

test("the agents' path without an upgrade asks for one; other upgrades are passed over", async () => {
  const response = await open("/v1/agent");
  expect(response.statusCode).toBe(426);
  response.resume();
  const upgrade = "connection: upgrade, close\r\nupgrade: h2c\r\n";
  expect(await raw(`GET /health HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`)).toMatch(/^HTTP\/1.1 200/);
});

test("bytes that are no HTTP are answered with a problem", async () => {
  expect(await raw("\x16\x03\x01 hello\r\n\r\n")).toMatch(/^HTTP\/1.1 400 [^]*problem\+json/);
  const long = `GET / HTTP/1.1\r\nhost: x\r\nx: ${"y".repeat(64 * 1024)}\r\n\r\n`;
  expect(await raw(long)).toMatch(/^HTTP\/1.1 431 /);
  const head = await raw(long.replace("GET", "HEAD"));
  expect(head).toMatch(/^HTTP\/1.1 431 [^]*\r\n\r\n$/);
});
