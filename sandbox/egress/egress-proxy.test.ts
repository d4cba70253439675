import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer, request, type IncomingMessage } from "node:http";
import {
  connect,
  createServer,
  type AddressInfo,
  type BlockList,
  type Server,
  type Socket,
} from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FakeClock } from "../fake/clock.ts";
import { parseAllowedHost, type AllowedHost } from "./allowed-host.ts";
import { EgressGate, parseRanges, type EgressGateOptions } from "./egress-gate.ts";
import {
  EGRESS_SOCKET,
  EgressProxy,
  type AuditEntry,
  type EgressProxyOptions,
} from "./egress-proxy.ts";

let dir: string;
let proxy: EgressProxy;
let audit: AuditEntry[];
const servers: Server[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "flotilla-egress-"));
  audit = [];
});

afterEach(async () => {
  await proxy.close();
  for (const server of servers.splice(0)) server.close();
  rmSync(dir, { recursive: true, force: true });
});

const patterns = (...texts: readonly string[]): readonly AllowedHost[] =>
  texts.map((text) => {
    const parsed = parseAllowedHost(text);
    if (parsed === undefined) throw new Error(`${text} is no pattern`);
    return parsed;
  });

const LOOPBACK = parseRanges(["127.0.0.0/8"]) as BlockList;

async function open(
  gate: Partial<EgressGateOptions>,
  changes: Partial<EgressProxyOptions> = {},
): Promise<void> {
  proxy = await EgressProxy.open({
    containerId: "co_1",
    dir: join(dir, "proxy"),
    gate: new EgressGate({ allowed: patterns("*"), ...gate }),
    clock: new FakeClock(),
    onAudit: (entry) => audit.push(entry),
    ...changes,
  });
}

const socketPath = (): string => join(dir, "proxy", EGRESS_SOCKET);

/** A server on loopback, and its port. */
async function serve(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, handle).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
}

/** Sends text through the proxy and gives all that comes back until the end. */
async function say(...texts: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect({ path: socketPath(), allowHalfOpen: true });
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    const next = left.shift();
    if (next !== undefined) socket.write(next);
  });
  const [first = "", ...left] = texts;
  socket.write(first);
  await new Promise<void>((resolve) => {
    socket.on("error", () => resolve());
    socket.on("close", () => resolve());
    socket.on("end", () => socket.end());
  });
  return Buffer.concat(chunks).toString("latin1");
}

test("a tunnel carries both directions, and its audit says what passed", async () => {
  const port = await serve((socket) =>
    socket.on("data", (data) => socket.end(`echo ${String(data)}`)),
  );
  await open({ openRanges: LOOPBACK, allowed: patterns(`127.0.0.1:${port}`) });
  const heard = await say(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\n\r\n`, "hello");
  expect(heard).toBe("HTTP/1.1 200 Connection established\r\n\r\necho hello");
  await expect.poll(() => audit.length).toBe(1);
  expect(audit).toEqual([
    {
      ...{ containerId: "co_1", host: "127.0.0.1", port, address: "127.0.0.1", outcome: "closed" },
      ...{ bytesOut: 5, bytesIn: 10, durationMs: 0 },
    },
  ]);
});

test("a proxy that was opened ahead writes down the container that has it", async () => {
  await open({ allowed: patterns("other.example") });
  proxy.becomes("co_2");
  await say("CONNECT 127.0.0.1:1 HTTP/1.1\r\nhost: x\r\n\r\n");
  await expect.poll(() => audit.length).toBe(1);
  expect(audit).toMatchObject([{ containerId: "co_2", outcome: "refused" }]);
});

test("a request with a whole URL is passed on with its method, body and headers", async () => {
  const server = createHttpServer((incoming: IncomingMessage, response) => {
    let body = "";
    incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
    incoming.on("end", () => {
      const { method, url, headers } = incoming;
      response.setHeader("x-answer", "yes");
      response.end(
        JSON.stringify({
          method,
          url,
          body,
          host: headers.host,
          proxy: headers["proxy-authorization"],
        }),
      );
    });
  }).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await open({
    openRanges: LOOPBACK,
    allowed: patterns(`files.test:${port}`),
    resolve: () => Promise.resolve(["127.0.0.1"]),
  });
  const answered = await new Promise<[IncomingMessage, string]>((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: socketPath(),
        method: "POST",
        path: `http://files.test:${port}/a?b=c`,
        headers: { "proxy-authorization": "secret", "content-type": "text/plain" },
      },
      (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => (text += chunk.toString()));
        response.on("end", () => resolve([response, text]));
      },
    );
    outgoing.on("error", reject);
    outgoing.end("x".repeat(100_000));
  });
  expect(answered[0].headers["x-answer"]).toBe("yes");
  expect(JSON.parse(answered[1])).toEqual({
    method: "POST",
    url: "/a?b=c",
    body: "x".repeat(100_000),
    host: `files.test:${port}`,
  });
});

test("SOCKS5 works with names and addresses, and its refusals are its own", async () => {
  const port = await serve((socket) =>
    socket.on("data", (data) => socket.end(`echo ${String(data)}`)),
  );
  await open({
    openRanges: LOOPBACK,
    allowed: patterns(`files.test:${port}`),
    resolve: () => Promise.resolve(["127.0.0.1"]),
  });
  const portBytes = Buffer.from([port >> 8, port & 255]);
  const greeting = Buffer.from([5, 1, 0]);
  const named = (name: string): Buffer =>
    Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), Buffer.from(name), portBytes]);
  const heard = await say(greeting, named("files.test"), "hello");
  expect(heard).toBe(`\x05\x00\x05\x00\x00\x01${"\x00".repeat(6)}echo hello`);
  expect((await say(greeting, named("other.test"))).slice(2, 4)).toBe("\x05\x02");
  const address = Buffer.concat([Buffer.from([5, 1, 0, 1, 127, 0, 0, 1]), portBytes]);
  expect((await say(greeting, address)).slice(2, 4)).toBe("\x05\x02");
  const bind = Buffer.concat([Buffer.from([5, 2, 0, 1, 127, 0, 0, 1]), portBytes]);
  expect((await say(greeting, bind)).slice(2, 4)).toBe("\x05\x07");
  expect(await say(Buffer.from([5, 1, 2]))).toBe("\x05\xff");
});

test.each([
  ...["127.0.0.1", "169.254.169.254", "10.0.0.1", "100.64.0.1", "192.168.0.1", "[::1]"],
  ...["[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[fd00:ec2::254]"],
  ...["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "127.1", "0", "localhost"],
])("refuses %s, although every host is allowed", async (host) => {
  await open({ allowed: patterns("*", "*:1") });
  const heard = await say(`CONNECT ${host}:80 HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(heard).toMatch(/^HTTP\/1.1 403 Forbidden/);
  expect(audit).toMatchObject([{ outcome: "refused", bytesOut: 0 }]);
  const plain = await say(`GET http://${host}/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
  expect(plain).toMatch(/^HTTP\/1.1 403/);
});

test("a name is judged by its addresses, of which only good ones are connected to", async () => {
  const names = new Map([
    ["rebound.test", ["169.254.169.254"]],
    ["mixed.test", ["10.0.0.1", "127.0.0.9", "fd00:ec2::254"]],
    ["none.test", []],
  ]);
  let lookups = 0;
  await open({
    openRanges: parseRanges(["127.0.0.9"]) as BlockList,
    allowed: patterns("*.test:1"),
    resolve: (name) => {
      lookups += 1;
      return Promise.resolve(names.get(name) ?? []);
    },
  });
  const ask = (host: string): Promise<string> =>
    say(`CONNECT ${host}:1 HTTP/1.1\r\nhost: x\r\n\r\n`);
  expect(await ask("rebound.test")).toMatch(/403.*leads to 169.254.169.254, which is link-local/s);
  expect(await ask("none.test")).toMatch(/403/);
  expect(await ask("mixed.test")).toMatch(/502.*127.0.0.9:1 cannot be reached/s);
  expect(lookups).toBe(3);
});

test("a name that changes between two looks gains nothing: the checked address is used", async () => {
  const answers = [["127.0.0.9"], ["169.254.169.254"]];
  await open({
    openRanges: parseRanges(["127.0.0.9"]) as BlockList,
    allowed: patterns("*:1"),
    resolve: () => Promise.resolve(answers.shift() ?? []),
  });
  const ask = (): Promise<string> => say("CONNECT a.test:1 HTTP/1.1\r\nhost: x\r\n\r\n");
  expect(await ask()).toMatch(/127.0.0.9:1 cannot be reached/);
  expect(await ask()).toMatch(/403/);
});

test("a host that is not allowed is refused before its name is looked up", async () => {
  let lookups = 0;
  await open({
    allowed: patterns("example.com"),
    resolve: () => {
      lookups += 1;
      return Promise.resolve([]);
    },
  });
  expect(await say("CONNECT evil.test:443 HTTP/1.1\r\nhost: x\r\n\r\n")).toMatch(
    /403.*allowHosts/s,
  );
  expect(await say("CONNECT example.com:22 HTTP/1.1\r\nhost: x\r\n\r\n")).toMatch(/403/);
  expect(lookups).toBe(0);
});

test("this machine's own addresses are refused, public ones too", async () => {
  await open({ ownAddresses: () => ["93.184.216.34"] });
  const heard = await say("CONNECT 93.184.216.34:443 HTTP/1.1\r\nhost: x\r\n\r\n");
  expect(heard).toMatch(/403.*the node's own/s);
});

test("the quota of bytes ends a connection in its middle, and refuses the next", async () => {
  const port = await serve((socket) => {
    socket.on("error", () => undefined);
    socket.write("x".repeat(10_000));
  });
  await open({ openRanges: LOOPBACK, allowed: patterns(`*:${port}`) }, { bytesMax: 5_000 });
  const connectTo = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\n\r\n`;
  expect((await say(connectTo)).length).toBeLessThan(6_000);
  await expect.poll(() => audit.length).toBe(1);
  expect(await say(connectTo)).toMatch(/403.*has used its 5000 bytes/s);
  expect(audit.map(({ outcome }) => outcome)).toEqual(["over_quota", "over_quota"]);
});

test("connections have a number, which is free again when they end", async () => {
  await open({}, { connectionsMax: 1 });
  const held = connect({ path: socketPath() });
  await new Promise((resolve) => held.once("connect", resolve));
  held.write("CONNECT ");
  expect(await say("CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: x\r\n\r\n")).toBe("");
  held.destroy();
  await expect
    .poll(() => say("CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: x\r\n\r\n"))
    .toMatch(/^HTTP\/1.1 403/);
});

test("before a container is saved all its connections are cut, and new ones come after", async () => {
  const port = await serve((socket) => socket.on("error", () => undefined));
  await open({ openRanges: LOOPBACK, allowed: patterns(`*:${port}`) });
  const connectTo = `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nhost: x\r\n\r\n`;
  const held = connect({ path: socketPath() });
  held.on("error", () => undefined);
  held.write(connectTo);
  await new Promise((resolve) => held.once("data", resolve));
  const closed = new Promise((resolve) => held.once("close", resolve));
  proxy.cut();
  await closed;
  const again = connect({ path: socketPath() });
  again.write(connectTo);
  const answer = await new Promise((resolve) => again.once("data", resolve));
  expect(String(answer)).toMatch(/^HTTP\/1.1 200/);
  again.destroy();
});

test.each([
  ["CONNECT example.com HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1.1 400/],
  ["CONNECT user@example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1.1 400/],
  ["CONNECT example.com:99999 HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1.1 400/],
  ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1.1 400/],
  ["GET ftp://example.com/ HTTP/1.1\r\nhost: x\r\n\r\n", /^HTTP\/1.1 400/],
  ["\x16\x03\x01 not HTTP at all", /^$/],
  ["\x04\x01", /^$/],
])("what is no request to a proxy is told so or cut: %j", async (text, expected) => {
  await open({});
  expect(await say(text)).toMatch(expected);
});
