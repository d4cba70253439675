/** Functions with a URL in Python: endpoints and servers, asked over HTTP. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestPlatform } from "../support/platform.ts";

const CODE = `
import asyncio, hashlib, json, socketserver, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import flotilla

def answer(request):
    what = request.path.strip("/")
    if what == "told":
        return {"method": request.method, "query": request.query, "agent": request.headers["X-Who"],
                "body": request.text()}
    if what == "bytes":
        return bytes(range(5))
    if what == "text":
        return "grüß"
    if what == "nothing":
        return None
    if what == "made":
        return flotilla.Response({"no": 1}, status=422, headers=[("x-a", "1"), ("x-a", "2")])
    if what == "stream":
        def parts():
            for number in range(3):
                yield f"data: {number}\\n\\n"
                time.sleep(0.2)
        return flotilla.Response(parts(), headers={"content-type": "text/event-stream"})
    if what == "large":
        return (b"x" * 65_536 for _ in range(64))
    if what == "set":
        return {1, 2}
    if what == "bad-header":
        return flotilla.Response("", headers={"x": "a\\r\\nb: c"})
    raise RuntimeError("a secret of the code")

def digest(request):
    total = hashlib.sha256()
    size = 0
    for chunk in request.chunks():
        total.update(chunk)
        size += len(chunk)
    return {"sha256": total.hexdigest(), "size": size}

def endless(request):
    try:
        while True:
            yield b"tick\\n"
            time.sleep(0.02)
    finally:
        print("the client of", request.path, "has gone", flush=True)

def slow(request):
    time.sleep(1.5)
    return {"late": True}

async def together(request):
    body = await request.read_async()
    async def parts():
        for part in (b"one ", b"two ", body):
            await asyncio.sleep(0.3)
            yield part
    return flotilla.Response(parts())

async def recite(request):
    for part in (b"one ", "two ", await request.read_async()):
        await asyncio.sleep(0)
        yield part

class Site(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.headers.get("upgrade") == "websocket":
            self.wfile.write(b"HTTP/1.1 101 Switching\\r\\nUpgrade: websocket\\r\\nConnection: upgrade\\r\\n\\r\\n")
            while True:
                data = self.connection.recv(1024)
                if not data:
                    break
                self.connection.sendall(data.upper())
            self.close_connection = True
            return
        self.reply(f"GET {self.path}".encode())
    def do_POST(self):
        self.reply(self.rfile.read(int(self.headers["content-length"]))[::-1])
    def reply(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

def serve():
    ThreadingHTTPServer(("127.0.0.1", 8000), Site).serve_forever()

def broken():
    raise OSError("the port is taken")
`;
const APP = `
import { App } from "flotilla";
const app = new App("py");
const python = { runtime: "python", source: "web.py" };
export const answer = app.webEndpoint({ ...python, handler: "answer" });
export const digest = app.webEndpoint({ ...python, handler: "digest", method: "POST" });
export const endless = app.webEndpoint({ ...python, handler: "endless" });
export const slow = app.webEndpoint({ ...python, handler: "slow", answerWithinMs: 1_000 });
export const together = app.webEndpoint({ ...python, handler: "together", maxConcurrentInputs: 8 });
export const recite = app.webEndpoint({ ...python, handler: "recite", method: "POST" });
export const site = app.webServer({ ...python, handler: "serve", port: 8000 });
export const broken = app.webServer({ ...python, handler: "broken", port: 8001, answerWithinMs: 60_000 });
`;
const platform = new TestPlatform();

beforeAll(async () => {
  await platform.start();
  platform.write("web.py", CODE);
  platform.cli("deploy", platform.write("py.mjs", APP));
});

afterAll(async () => {
  expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
});

function urlOf(path: string): string {
  return `${platform.running.serverUrl}/web/default/py/${path}`;
}

test("what an endpoint gives becomes the response", async () => {
  const told = await fetch(urlOf("answer/told?a=1&a=2&b="), {
    method: "PUT",
    headers: { "x-who": "me" },
    body: "hello",
  });
  expect(await told.json()).toEqual({
    method: "PUT",
    query: { a: ["1", "2"], b: [""] },
    agent: "me",
    body: "hello",
  });
  const bytes = await fetch(urlOf("answer/bytes"));
  expect(bytes.headers.get("content-type")).toBe("application/octet-stream");
  expect([...new Uint8Array(await bytes.arrayBuffer())]).toEqual([0, 1, 2, 3, 4]);
  expect(await (await fetch(urlOf("answer/text"))).text()).toBe("grüß");
  expect((await fetch(urlOf("answer/nothing"))).status).toBe(204);
  const made = await fetch(urlOf("answer/made"));
  expect([made.status, made.headers.get("x-a"), await made.json()]).toEqual([
    422,
    "1, 2",
    { no: 1 },
  ]);
  const head = await fetch(urlOf("answer/text"), { method: "HEAD" });
  expect([head.status, head.headers.get("content-length"), await head.text()]).toEqual([
    200,
    "6",
    "",
  ]);
});

test("a generator streams, and what is large comes whole", async () => {
  const response = await fetch(urlOf("answer/stream"));
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const times: number[] = [];
  let text = "";
  const body = response.body as ReadableStream<Uint8Array> | null;
  for await (const chunk of body ?? []) {
    times.push(performance.now());
    text += new TextDecoder().decode(chunk);
  }
  expect(text).toBe("data: 0\n\ndata: 1\n\ndata: 2\n\n");
  // It came in pieces, not at the end.
  expect(times.length).toBeGreaterThan(1);
  expect((await (await fetch(urlOf("answer/large"))).arrayBuffer()).byteLength).toBe(4_194_304);
});

test("what an endpoint throws, or cannot give, is a 500 that says nothing, and a line of its log", async () => {
  for (const path of ["fails", "set", "bad-header"]) {
    const response = await fetch(urlOf(`answer/${path}`));
    expect(response.status).toBe(500);
    expect(await response.text()).not.toMatch(/secret|set|header/);
  }
  await expect
    .poll(() => platform.tryCli("logs", "py").stderr)
    .toMatch(/RuntimeError: a secret of the code(?:.|\n)*not JSON serializable/);
});

test("a large body streams into the function", async () => {
  const body = new Uint8Array(3 * 1024 * 1024).fill(7);
  const response = await fetch(urlOf("digest"), { method: "POST", body });
  const hash = await crypto.subtle.digest("SHA-256", body);
  expect(await response.json()).toEqual({
    sha256: Buffer.from(hash).toString("hex"),
    size: body.byteLength,
  });
});

test("a client that goes ends the generator, and the container goes on", async () => {
  const leaving = new AbortController();
  const response = await fetch(urlOf("endless"), { signal: leaving.signal });
  const body = response.body as ReadableStream<Uint8Array> | null;
  const first = await body?.getReader().read();
  expect(first?.value?.byteLength).toBeGreaterThan(0);
  leaving.abort();
  await expect.poll(() => platform.cli("logs", "py")).toContain("the client of / has gone");
});

test("an answer that takes too long is found at the URL of its result", async () => {
  const first = await fetch(urlOf("slow"), { redirect: "manual" });
  expect(first.status).toBe(303);
  const later = await fetch(new URL(first.headers.get("location") ?? "", urlOf("")));
  expect(await later.json()).toEqual({ late: true });
});

test("coroutines answer beside each other, and stream", async () => {
  const startedMs = performance.now();
  const texts = await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const response = await fetch(urlOf("together"), { method: "POST", body: String(index) });
      return response.text();
    }),
  );
  expect(texts.toSorted()).toEqual([0, 1, 2, 3, 4, 5].map((index) => `one two ${index}`));
  // One after the other they would take 5.4 s, without the start of a container.
  expect(performance.now() - startedMs).toBeLessThan(60_000);
});

test("an endpoint may be an asynchronous generator itself", async () => {
  const response = await fetch(urlOf("recite"), { method: "POST", body: "three" });
  expect(await response.text()).toBe("one two three");
});

test("a server of the code takes requests and other protocols by its port", async () => {
  expect(await (await fetch(urlOf("site/a?b=c"))).text()).toBe("GET /a?b=c");
  const posted = await fetch(urlOf("site"), { method: "POST", body: "abc" });
  expect(await posted.text()).toBe("cba");
  const { hostname, port } = new URL(platform.running.serverUrl);
  const socket = connect(Number(port), hostname);
  socket.write(
    "GET /web/default/py/site HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
  );
  let heard = "";
  socket.on("data", (data: Buffer) => (heard += data.toString()));
  await expect.poll(() => heard).toMatch(/^HTTP\/1\.1 101/);
  socket.write("shout");
  await expect.poll(() => heard).toMatch(/SHOUT$/);
  socket.end();
});

test("a server that cannot start says so", async () => {
  const response = await fetch(urlOf("broken"));
  expect(response.status).toBeGreaterThanOrEqual(500);
  expect(await response.text()).not.toContain("the port is taken");
});
