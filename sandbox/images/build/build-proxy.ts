/**
 * The only way out for a build step: a forward proxy on a unix socket.
 *
 * It takes CONNECT (what is inside stays sealed to it) and plain HTTP requests, judges every
 * destination when it connects (`addresses.ts`), and goes through the host's own proxy where there
 * is one. A step reaches nothing else: its network has no other end.
 */
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { Duplex } from "node:stream";
import { messageOf } from "../../../core/index.ts";
import { connectOutward } from "./addresses.ts";
import type { HostIndexes } from "./host-indexes.ts";

export interface BuildProxyOptions {
  readonly socketPath: string;
  readonly indexes: Pick<HostIndexes, "httpProxy" | "httpsProxy" | "noProxy" | "trusted">;
  /** Told once per destination that was refused or did not answer. */
  readonly onRefused: (reason: string) => void;
}

export interface BuildProxy {
  close(): Promise<void>;
}

/** Starts it; resolves when it listens. */
export async function startBuildProxy(options: BuildProxyOptions): Promise<BuildProxy> {
  const told = new Set<string>();
  const refuse = (reason: string): void => {
    if (told.has(reason)) return;
    told.add(reason);
    options.onRefused(reason);
  };
  const server = createServer((incoming, answer) => {
    forward(incoming, answer, options).catch((error: unknown) => {
      refuse(messageOf(error));
      if (!answer.headersSent) answer.writeHead(502, { connection: "close" });
      answer.end(`${messageOf(error)}\n`);
    });
  });
  const open = new Set<Duplex>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
  });
  server.on("connect", (incoming: IncomingMessage, client: Duplex, head: Buffer) => {
    client.on("error", () => client.destroy());
    tunnel(incoming, client, head, options).catch((error: unknown) => {
      refuse(messageOf(error));
      client.end(`HTTP/1.1 502 Bad Gateway\r\nconnection: close\r\n\r\n${messageOf(error)}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socketPath, () => resolve());
  });
  return { close: () => end(server, open) };
}

async function end(server: Server, open: ReadonlySet<Duplex>): Promise<void> {
  for (const socket of open) socket.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

async function tunnel(
  { url = "" }: IncomingMessage,
  client: Duplex,
  head: Buffer,
  { indexes }: BuildProxyOptions,
): Promise<void> {
  const { hostname, port } = new URL(`http://${url}`);
  const far = await openTunnel(hostname, Number(port === "" ? "443" : port), indexes);
  client.write("HTTP/1.1 200 Connection established\r\n\r\n");
  if (head.length > 0) far.write(head);
  far.on("error", () => client.destroy());
  client.on("close", () => far.destroy());
  far.on("close", () => client.destroy());
  far.pipe(client).pipe(far);
}

type ProxySettings = BuildProxyOptions["indexes"];

/** A connection to a host, through the host's proxy where one is set. @throws PlatformError */
export async function openTunnel(
  hostname: string,
  port: number,
  { httpsProxy, noProxy, trusted }: ProxySettings,
): Promise<Duplex> {
  if (httpsProxy === undefined || isExempt(hostname, noProxy)) {
    return connectOutward(hostname, port, trusted);
  }
  const proxy = new URL(httpsProxy);
  const socket = await connectOutward(proxy.hostname, portOf(proxy), trusted);
  return new Promise<Duplex>((resolve, reject) => {
    const asking = request({
      method: "CONNECT",
      path: `${hostname}:${port}`,
      headers: { host: `${hostname}:${port}`, ...proxyCredentials(proxy) },
      createConnection: () => socket,
    });
    asking.once("connect", (answer, tunnelled) => {
      if (answer.statusCode === 200) resolve(tunnelled);
      else reject(new Error(`the proxy ${proxy.host} answered ${answer.statusCode ?? "?"}`));
    });
    asking.once("error", reject);
    asking.end();
  });
}

async function forward(
  incoming: IncomingMessage,
  answer: ServerResponse,
  { indexes }: BuildProxyOptions,
): Promise<void> {
  const target = new URL(incoming.url ?? "");
  if (target.protocol !== "http:") throw new Error("only http:// is forwarded");
  const { httpProxy, noProxy, trusted } = indexes;
  const proxy =
    httpProxy === undefined || isExempt(target.hostname, noProxy) ? undefined : new URL(httpProxy);
  const next = proxy ?? target;
  const socket = await connectOutward(next.hostname, portOf(next), trusted);
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(([name]) => !name.startsWith("proxy-")),
  );
  await new Promise<void>((resolve, reject) => {
    const asking = request({
      method: incoming.method,
      path: proxy === undefined ? `${target.pathname}${target.search}` : target.href,
      headers: { ...headers, connection: "close", ...(proxy && proxyCredentials(proxy)) },
      createConnection: () => socket,
    });
    asking.once("response", (response) => {
      answer.writeHead(response.statusCode ?? 502, { ...response.headers, connection: "close" });
      response.pipe(answer);
      response.once("end", resolve);
      response.once("error", reject);
    });
    asking.once("error", reject);
    incoming.pipe(asking);
  });
}

function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

function proxyCredentials({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === "") return {};
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(plain).toString("base64")}` };
}

/** Whether `no_proxy` (names and their subdomains, or `*`) has a host. */
export function isExempt(hostname: string, noProxy: string): boolean {
  return noProxy
    .split(",")
    .map((name) =>
      name
        .trim()
        .replace(/^\*?\./, "")
        .replace(/:\d+$/, ""),
    )
    .some((name) => name === "*" || (name !== "" && `.${hostname}`.endsWith(`.${name}`)));
}
