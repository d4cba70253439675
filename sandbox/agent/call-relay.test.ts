import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { settled } from "../fake/clock.ts";
import { createRelay, type RelayedAnswer, type RelayedRequest } from "./call-relay.ts";
import { blobFileIn } from "./blob-files.ts";
import { BLOB_DIR_HEADER } from "./link.ts";
import { TestContainer } from "./test-container.ts";

const NOTHING = new Uint8Array(0);
const ASK: RelayedRequest = { method: "GET", path: "/v1/calls/ca_1", body: NOTHING };

describe("a relay", () => {
  const heard: { request: IncomingMessage; body: string }[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      heard.push({ request, body: Buffer.concat(chunks).toString() });
      response.writeHead(503, { "retry-after": "2" }).end("busy");
    });
  });
  const relayTo = () =>
    createRelay({
      serverUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      token: () => "fl_agent",
    });

  beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  afterAll(() => server.close());

  test("sends a request on in the name of its container and gives the answer as it is", async () => {
    const body = Buffer.from("frame");
    const request = { method: "POST", path: "/v1/x?a=1", contentType: "text/x", body };
    const answer = await relayTo()("co_1", request, new AbortController().signal);
    expect(answer).toEqual({
      status: 503,
      retryAfter: "2",
      body: new Uint8Array(Buffer.from("busy")),
    });
    expect(heard.at(-1)?.request).toMatchObject({ method: "POST", url: "/v1/x?a=1" });
    expect(heard.at(-1)?.request.headers).toMatchObject({
      authorization: "Bearer fl_agent",
      "x-flotilla-container": "co_1",
      "content-type": "text/x",
    });
    expect(heard.at(-1)?.body).toBe("frame");
  });

  test.each([
    ["GET", "/metrics"],
    ["GET", "http://10.0.0.1/v1/x"],
    ["GET", "//10.0.0.1/v1/x"],
    ["GET", "/v1/../metrics"],
    ["GET", "/v1/%2e%2E/metrics"],
    ["GET", "/v1/a\r\nhost: b"],
    ["GET", "/v1/a@b"],
    ["GET", "/v1/\\evil"],
    ["PUT", `/v1/blobs/${"a".repeat(64)}`],
    ["DELETE", "/v1/x"],
    ["CONNECT", "/v1/x"],
  ])("refuses what is no request of the API: %s %s", async (method, path) => {
    const before = heard.length;
    const request = { ...ASK, method, path };
    const answer = await relayTo()("co_1", request, new AbortController().signal);
    expect(answer.status).toBe(400);
    expect(heard).toHaveLength(before);
  });

  test("answers for a server that is away", async () => {
    const relay = createRelay({ serverUrl: "http://127.0.0.1:1", token: () => "" });
    const { status, body } = await relay("co_1", ASK, new AbortController().signal);
    expect(status).toBe(503);
    expect(JSON.parse(Buffer.from(body).toString())).toMatchObject({ retryable: true });
  });
});

describe("a relay on the machine of its server", () => {
  const sha256 = "ab".repeat(32);
  const ASK_BLOB: RelayedRequest = { ...ASK, path: `/v1/blobs/${sha256}` };
  const heard: IncomingMessage[] = [];
  let status = 204;
  let dir: string;
  const server = createServer((request, response) => {
    heard.push(request);
    const isFile = request.headers[BLOB_DIR_HEADER] !== undefined;
    response.writeHead(isFile ? status : 200).end(isFile && status === 204 ? undefined : "sent");
  });
  const ask = async (request: RelayedRequest) => {
    const serverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const relay = createRelay({ serverUrl, token: () => "fl_agent", blobDir: dir });
    const answer = await relay("co_1", request, new AbortController().signal);
    return { ...answer, body: Buffer.from(answer.body).toString() };
  };

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  });
  afterAll(() => {
    server.close();
  });
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "flotilla-relay-"));
    heard.length = 0;
    status = 204;
  });
  afterEach(async () => {
    await rm(dir, { recursive: true });
  });

  test("asks for a blob of a file and reads it there", async () => {
    await mkdir(join(dir, "ab"), { recursive: true });
    await writeFile(blobFileIn(dir, sha256), "of the file");
    expect(await ask(ASK_BLOB)).toEqual({ status: 200, body: "of the file" });
    expect(heard.map(({ headers }) => headers[BLOB_DIR_HEADER])).toEqual([dir]);
    expect(heard[0]?.headers["x-flotilla-container"]).toBe("co_1");
  });

  test("reads no file that the server does not give, whatever it says instead", async () => {
    for (status of [200, 403, 404, 503]) {
      expect(await ask(ASK_BLOB)).toMatchObject({ status, body: "sent" });
    }
    expect(heard).toHaveLength(4);
  });

  test("has the bytes sent when the file is gone or cannot be read", async () => {
    expect(await ask(ASK_BLOB)).toMatchObject({ status: 200, body: "sent" });
    await mkdir(blobFileIn(dir, sha256), { recursive: true });
    expect(await ask(ASK_BLOB)).toMatchObject({ status: 200, body: "sent" });
    expect(heard.map(({ headers }) => headers[BLOB_DIR_HEADER])).toEqual([
      dir,
      undefined,
      dir,
      undefined,
    ]);
  });

  test("speaks of its folder with blobs alone", async () => {
    await ask(ASK);
    await ask({ method: "POST", path: "/v1/blobs", body: Buffer.from("x") });
    expect(heard.map(({ headers }) => headers[BLOB_DIR_HEADER])).toEqual([undefined, undefined]);
  });
});

describe("a container's requests", () => {
  const REQUEST = { type: "request", method: "GET", path: "/v1/x" } as const;

  test("are answered by their numbers, in whatever order answers come", async () => {
    const one = new TestContainer();
    const answers = new Map<string, (answer: RelayedAnswer) => void>();
    one.relay = (_, { path }) => new Promise((resolve) => answers.set(path, resolve));
    await one.startWith();
    one.sandbox.say({ ...REQUEST, requestId: 1, path: "/v1/a" });
    one.sandbox.say({ ...REQUEST, requestId: 2, path: "/v1/b" });
    await settled();
    answers.get("/v1/b")?.({ status: 200, body: Buffer.from("b") });
    await settled();
    answers.get("/v1/a")?.({ status: 404, retryAfter: "1", body: NOTHING });
    await settled();
    expect(one.sandbox.told.slice(-2)).toMatchObject([
      {
        header: { type: "response", requestId: 2, status: 200 },
        body: new Uint8Array(Buffer.from("b")),
      },
      { header: { type: "response", requestId: 1, status: 404, retryAfter: "1" } },
    ]);
  });

  test("that are cancelled, or whose container ends, are given up", async () => {
    const one = new TestContainer();
    const signals: AbortSignal[] = [];
    one.relay = (_, __, signal) => {
      signals.push(signal);
      return new Promise(() => undefined);
    };
    await one.startWith();
    for (const requestId of [1, 2]) one.sandbox.say({ ...REQUEST, requestId });
    one.sandbox.say({ type: "request_cancel", requestId: 1 });
    one.sandbox.say({ type: "request_cancel", requestId: 99 });
    await settled();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    one.container.stop();
    await one.running;
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });

  test("that move blobs go a few at a time, and wait for a runner that does not read", async () => {
    const one = new TestContainer();
    const answers: ((answer: RelayedAnswer) => void)[] = [];
    one.relay = () => new Promise((resolve) => answers.push(resolve));
    await one.startWith();
    const path = `/v1/blobs/${"a".repeat(64)}`;
    for (let requestId = 1; requestId <= 6; requestId += 1) {
      one.sandbox.say({ ...REQUEST, requestId, path });
    }
    one.sandbox.say({ ...REQUEST, requestId: 7 });
    await settled();
    // Four blobs and the call, which waits for none of them.
    expect(answers).toHaveLength(5);
    one.sandbox.say({ type: "request_cancel", requestId: 5 });
    answers[0]?.({ status: 200, body: NOTHING });
    await settled();
    expect(answers).toHaveLength(6);
  });

  test("are bounded: one too many is refused and the others go on", async () => {
    const one = new TestContainer();
    one.relay = () => new Promise(() => undefined);
    await one.startWith();
    for (let requestId = 0; requestId <= 512; requestId += 1) {
      one.sandbox.say({ ...REQUEST, requestId });
    }
    await settled();
    const responses = one.sandbox.told.filter(({ header }) => header.type === "response");
    expect(responses).toMatchObject([{ header: { requestId: 512, status: 429 } }]);
  });
});
