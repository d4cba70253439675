import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WebSocketServer, type RawData } from "ws";
import { assert } from "../../core/index.ts";
import type { AgentMessage } from "../../sandbox/index.ts";
import { decodeFrame, encodeFrame } from "../../sdk/protocol/index.ts";
import { AgentFiles, type ServedFile } from "./agent-files.ts";
import { batchTokenOf } from "./batch-joins.ts";
import { AGENT_FILE, fileIn, firstBootOf, userDataOf } from "./user-data.ts";

const BATCH = "rent-no_1";
const TOKEN = batchTokenOf(BATCH, new Uint8Array(32));
const PATHS = ["/etc/flotilla/agent.json", "/etc/flotilla/headers", "/opt/flotilla/boot.sh"];

let root: string;
let server: Server;
let url: string;
let files: readonly ServedFile[];
/** What the server sends for a file instead of its bytes. */
let tampered: Map<string, string>;
let asked: { readonly path: string; readonly authorization: string; readonly batch: string }[];
let links: WebSocketServer;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "flotilla-boot-"));
  files = await new AgentFiles().all();
  tampered = new Map();
  asked = [];
  server = createServer(serve);
  links = new WebSocketServer({ server, path: "/v1/agent" });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const client of links.clients) client.terminate();
  links.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(root, { recursive: true });
});

/** The server's files and, for the machine, an EC2 metadata service. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const path = request.url ?? "";
  const { authorization = "", "x-flotilla-batch": batch = "" } = request.headers;
  asked.push({ path, authorization, batch: String(batch) });
  if (path === "/latest/api/token") response.end("session");
  else if (path === "/latest/meta-data/instance-id") response.end("i-0abc");
  else {
    const file = files.find(({ sha256 }) => path === `/v1/agent/files/${sha256}`);
    if (file === undefined) response.writeHead(404).end();
    else if (tampered.has(file.name)) response.end(tampered.get(file.name));
    else file.open().pipe(response);
  }
}

/** Does what cloud-init does with the files, and starts what systemd would start. */
async function boot(): Promise<{ readonly code: number | null; readonly errors: string }> {
  const firstBoot = {
    serverUrl: url,
    token: TOKEN,
    rented: { batch: BATCH, cloud: "aws" },
  } as const;
  const userData = userDataOf(firstBoot, files);
  for (const path of PATHS) {
    const content = fileIn(userData, path);
    assert(content !== undefined, `the user data writes ${path}`);
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content, { mode: 0o755 });
  }
  // What a real machine has or finds out: its folder, its isolation, its cloud's address.
  const settings = {
    ...firstBootOf(userData),
    rented: { ...firstBoot.rented, metadataUrl: url },
    dataDir: join(root, "data"),
    isolation: "process",
    resources: { gpuCount: 0, cpuMilli: 1_000, memoryMiB: 512 },
  };
  await writeFile(join(root, "/etc/flotilla/agent.json"), JSON.stringify(settings));
  const child = spawn("/bin/sh", [join(root, "/opt/flotilla/boot.sh")], {
    env: { PATH: process.env["PATH"] ?? "", FLOTILLA_ROOT: root },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
  return { code, errors };
}

test("a rented machine fetches the agent with its batch's token, and joins as itself", async () => {
  const hello = new Promise<AgentMessage>((resolve) => {
    links.once("connection", (socket, request) => {
      expect(request.headers).toMatchObject({
        authorization: `Bearer ${TOKEN}`,
        "x-flotilla-batch": BATCH,
        "x-flotilla-machine": "i-0abc",
      });
      socket.send(encodeFrame({ type: "welcome", nodeId: "no_7", sessionToken: "fl_session" }));
      socket.once("message", (data: RawData) => {
        assert(Buffer.isBuffer(data), "an agent sends binary messages");
        resolve(decodeFrame<AgentMessage>(data).header);
        socket.send(encodeFrame({ type: "goodbye", reason: "that is all" }));
      });
    });
  });
  const booted = boot();
  expect(await hello).toMatchObject({ type: "hello", node: { nodeId: "no_7" } });
  // Dismissed: the service has succeeded, and the machine would power itself off.
  expect(await booted).toMatchObject({ code: 0 });
  const fetched = asked.filter(({ path }) => path.startsWith("/v1/agent/files/"));
  expect(fetched).toHaveLength(files.length);
  expect(fetched.every((one) => one.authorization === `Bearer ${TOKEN}`)).toBe(true);
  expect(fetched.every((one) => one.batch === BATCH)).toBe(true);
  const session = JSON.parse(await readFile(join(root, "data", "session.json"), "utf8")) as unknown;
  expect(session).toEqual({ nodeId: "no_7", sessionToken: "fl_session" });
});

test("what does not have the hash of the user data is never run", async () => {
  tampered.set(AGENT_FILE, 'console.error("evil");process.exit(0);');
  const { code, errors } = await boot();
  expect(code).not.toBe(0);
  expect(errors).toContain("does not have the hash");
  expect(errors).not.toContain("evil");
});

test("a file that was changed after it was fetched is fetched again before the next start", async () => {
  links.on("connection", (socket) => {
    socket.send(encodeFrame({ type: "welcome", nodeId: "no_7", sessionToken: "fl_session" }));
    socket.once("message", () => socket.send(encodeFrame({ type: "goodbye", reason: "bye" })));
  });
  expect(await boot()).toMatchObject({ code: 0 });
  await writeFile(join(root, "opt/flotilla", AGENT_FILE), "process.exit(3)");
  const before = asked.length;
  expect(await boot()).toMatchObject({ code: 0 });
  const again = asked.slice(before).filter(({ path }) => path.startsWith("/v1/agent/files/"));
  expect(again).toHaveLength(1);
});
