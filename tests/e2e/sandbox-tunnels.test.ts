import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Sandbox, SandboxEndedError } from "../../sdk/index.ts";
import { TestPlatform } from "../support/platform.ts";

/** Says what it was asked, sends back what comes over a WebSocket, and knows how to wait. */
const SERVER = `
import { createHash } from "node:crypto";
import { createServer } from "node:http";

const server = createServer(async (request, response) => {
  let bytes = 0;
  for await (const part of request) bytes += part.byteLength;
  if (request.url === "/slowly") {
    response.write("first,");
    setTimeout(() => response.end("last"), 300);
    return;
  }
  const { "x-forwarded-prefix": prefix, host } = request.headers;
  response.writeHead(203, { "x-own": "kept" });
  response.end(JSON.stringify({ method: request.method, url: request.url, bytes, prefix, host }));
});
server.on("upgrade", (request, socket) => {
  const key = request.headers["sec-websocket-key"];
  const accept = createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  socket.write(
    "HTTP/1.1 101 Switching Protocols\\r\\nupgrade: websocket\\r\\nconnection: upgrade\\r\\n" +
      "sec-websocket-accept: " + accept.digest("base64") + "\\r\\n\\r\\n",
  );
  socket.on("data", (frame) => {
    if ((frame[0] & 15) !== 1) return void socket.end();
    const mask = frame.subarray(2, 6);
    const text = frame.subarray(6).map((byte, index) => byte ^ mask[index % 4]);
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("listening"));
`;

describe("tunnels", () => {
  const platform = new TestPlatform();
  let sandbox: Sandbox;

  /** Starts the server in a sandbox and waits until it listens. */
  async function serve(where: Sandbox, port: number): Promise<void> {
    await where.files.write("/tmp/server.mjs", SERVER);
    const program = await where.exec(["node", "/tmp/server.mjs", String(port)]);
    const first = await program.stdout[Symbol.asyncIterator]().next();
    expect(new TextDecoder().decode(first.value as Uint8Array)).toBe("listening\n");
  }

  beforeAll(async () => {
    await platform.start();
    sandbox = await Sandbox.create();
    await serve(sandbox, 8080);
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("lead to a port as soon as something listens there", async () => {
    const [tunnel, other] = await sandbox.tunnels(8000, 9090);
    expect([tunnel.port, other.port]).toEqual([8000, 9090]);
    const early = await fetch(tunnel.url);
    expect([early.status, await early.text()]).toEqual([502, "nothing listens on port 8000\n"]);

    await serve(sandbox, 8000);
    const answer = await fetch(`${tunnel.url}/a/b?c=1`, { method: "PUT", body: "12345" });
    expect([answer.status, answer.headers.get("x-own")]).toEqual([203, "kept"]);
    const { pathname, host } = new URL(tunnel.url);
    const asked = { method: "PUT", url: "/a/b?c=1", bytes: 5, prefix: pathname, host };
    expect(await answer.json()).toEqual(asked);
    const large = await fetch(tunnel.url, { method: "POST", body: new Uint8Array(3_000_000) });
    expect(await large.json()).toMatchObject({ url: "/", bytes: 3_000_000 });
    expect(await (await fetch(`${tunnel.url}/slowly`)).text()).toBe("first,last");
    expect((await fetch(other.url)).status).toBe(502);
  });

  it("carry WebSockets beside what else is asked of the sandbox", async () => {
    const [{ url }] = await sandbox.tunnels(8080);
    const socket = new WebSocket(url.replace("http", "ws"));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    for (const text of ["one", "two"]) {
      const answer = new Promise<string>((resolve) =>
        socket.once("message", (data: Buffer) => resolve(data.toString())),
      );
      socket.send(text);
      expect(await answer).toBe(text);
      expect((await sandbox.files.list("/tmp")).map(({ name }) => name)).toContain("server.mjs");
    }
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.close();
    await closed;
  });

  it("are the same for whoever finds the sandbox, and open to nobody who guesses", async () => {
    const [{ url }] = await sandbox.tunnels(8080);
    const [again] = await (await Sandbox.fromId(sandbox.sandboxId)).tunnels(8080);
    expect(again.url).toBe(url);
    const other = await Sandbox.create();
    const [otherTunnel] = await other.tunnels(8080);
    const key = (text: string): string => text.slice(text.indexOf("-", text.lastIndexOf("/")));
    expect(key(otherTunnel.url)).not.toBe(key(url));
    const guesses = [
      url.replace("/8080-", "/8081-"),
      url.replace("/8080-", "/08080-"),
      url.slice(0, -1),
      `${url}A`,
      url.slice(0, -1) + (url.endsWith("A") ? "E" : "A"),
      url.slice(0, url.lastIndexOf("/")) + "/8080" + key(otherTunnel.url),
      url.slice(0, url.lastIndexOf("/") + 1),
      url.slice(0, url.lastIndexOf("/")) + "/sandbox",
      url.slice(0, url.lastIndexOf("/")) + "/8080",
    ];
    for (const guess of guesses) expect([guess, (await fetch(guess)).status]).toEqual([guess, 404]);
    await other.terminate();
    expect((await fetch(otherTunnel.url)).status).toBe(404);
    await expect(other.tunnels(8080)).rejects.toThrow(SandboxEndedError);
    await expect(sandbox.tunnels(0)).rejects.toThrow(/whole number from 1 to 65535/);
    await expect(sandbox.tunnels()).rejects.toThrow(/1 to 32 ports/);
  });

  it("end with the sandbox, whatever goes through them", async () => {
    const short = await Sandbox.create();
    await serve(short, 8080);
    const [{ url }] = await short.tunnels(8080);
    const socket = new WebSocket(url.replace("http", "ws"));
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await short.terminate();
    await closed;
    expect((await fetch(url)).status).toBe(404);
  });
});
