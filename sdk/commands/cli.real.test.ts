/** The command as a process, against a server in this one. */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FakeServer, type FakeServerOptions } from "../fake/fake-server.ts";
import type { DeployRequest } from "../protocol/index.ts";

const BIN = resolve(import.meta.dirname, "../bin/flotilla.mjs");
const BASE = { eventId: "1", atMs: 0, appId: "ap_1" };
const LOG = {
  ...BASE,
  kind: "log",
  stream: "stdout",
  text: "from \u001b[31mthe container",
  sequence: 1,
};

let folder: string;
let server: FakeServer;
let answer: NonNullable<FakeServerOptions["answer"]>;
let blobs: Map<string, Buffer>;
let deploys: DeployRequest[];
let stops: string[];
let pendingReason: string | undefined;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flotilla-cli-"));
  writeFileSync(
    join(folder, "shop.ts"),
    `import { App } from "flotilla";
const app = new App("shop");
export const price = app.function({ gpu: "H100" }, (x: number) => x * 2);
app.localEntrypoint(async (x: number) => {
  const all: number[] = [];
  for await (const result of price.map([1, 2, 3])) all.push(result);
  return { one: await price.remote(x), all };
});
`,
  );
  writeFileSync(
    join(folder, "broken.ts"),
    `import { App } from "flotilla";
const app = new App("broken");
app.function({ name: "f", gpu: "H10O" as never }, () => 1);
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  blobs = new Map();
  deploys = [];
  stops = [];
  answer = ([x]) => ({ value: Number(x) * 2 });
  pendingReason = undefined;
  server = new FakeServer({
    answer: (...input) => answer(...input),
    others: platform,
    pendingReason: () => pendingReason,
  });
  await server.listen();
});
afterEach(() => server.close());

const platform: NonNullable<FakeServerOptions["others"]> = (name, body, response) => {
  const [method = "", path = ""] = name.split(" ");
  const sha256 = path.split("/").at(-1) ?? "";
  if (method === "HEAD") {
    response.writeHead(blobs.has(sha256) ? 200 : 404).end();
  } else if (method === "PUT") {
    blobs.set(sha256, body);
    response.writeHead(204).end();
  } else if (path.endsWith("/deployments")) {
    const request = JSON.parse(body.toString()) as DeployRequest;
    deploys.push(request);
    const functions = request.functions.map((each) => ({ name: each.name, functionId: "fn_1" }));
    const { mode } = request;
    response.end(
      JSON.stringify({ appId: "ap_1", app: "shop", mode, version: 1, functions, leaseMs: 30_000 }),
    );
  } else if (path.endsWith("/stop")) {
    stops.push(path);
    response.end(JSON.stringify({ app: "shop", appId: "ap_1" }));
  } else if (path === "/v1/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(`id: 1\ndata: ${JSON.stringify(LOG)}\n\n`);
  } else if (path.split("?")[0] === "/v1/apps") {
    response.end(JSON.stringify({ apps: [] }));
  } else {
    return false;
  }
  return true;
};

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const env = {
    ...process.env,
    FLOTILLA_SERVER_URL: server.url,
    FLOTILLA_TOKEN: "fl_t",
    NO_COLOR: "1",
  };
  const child = spawn(process.execPath, [BIN, ...args], { cwd: folder, env });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  const ended = new Promise<Ended>((end) => {
    child.on("close", (code) => end({ code, out, err }));
  });
  return { child, ended };
}

function flotilla(args: string[]): Promise<Ended> {
  return start(args).ended;
}

describe("run", () => {
  test("deploys for a while, runs the entrypoint, shows output, prints the result, stops", async () => {
    const { code, out, err } = await flotilla(["run", "shop.ts", "7", "--json"]);
    expect(err).toContain("from the container");
    expect(JSON.parse(out)).toEqual({ one: 14, all: [2, 4, 6] });
    expect(code).toBe(0);
    expect(deploys).toMatchObject([
      { mode: "ephemeral", functions: [{ name: "price", spec: { gpu: "H100" } }] },
    ]);
    expect(stops).toEqual(["/v1/apps/ap_1/stop"]);
    const [[sha256, bundle] = ["", Buffer.alloc(0)]] = blobs;
    expect(createHash("sha256").update(bundle).digest("hex")).toBe(sha256);
  });

  test("sends the code once, until it changes", async () => {
    await flotilla(["run", "shop.ts::price", "1"]);
    const { out, err } = await flotilla(["run", "shop.ts::price", "4"]);
    expect(out).toBe("from the container\n8\n");
    expect(err).toContain("The server has this code already");
    expect(blobs.size).toBe(1);
  });

  test("an error of the function is its stack on stderr, and 1", async () => {
    const stack = "RangeError: too big\n    at price (file:///app/shop.ts:3:9)";
    answer = () => ({ error: { name: "RangeError", message: "too big", stack } });
    const { code, out, err } = await flotilla(["run", "shop.ts::price", "1", "--json"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(`error: ${stack}\n`);
    expect(stops).toHaveLength(1);
  });

  test("ctrl-C stops the app and ends with 130", async () => {
    const { child, ended } = start(["run", "shop.ts::price", "1"]);
    answer = () => {
      child.kill("SIGINT");
      return "never";
    };
    const { code, err } = await ended;
    expect(code).toBe(130);
    expect(err).toContain("Stopping the app");
    expect(stops).toHaveLength(1);
  });

  test("a wrong spec names the option and the user's line", async () => {
    const { code, err } = await flotilla(["run", "broken.ts"]);
    expect(code).toBe(2);
    expect(err).toContain('gpu is wrong: no GPU type "H10O": did you mean "H100"?');
    expect(err).toMatch(/at .*broken.ts:3:5/);
    expect(deploys).toEqual([]);
  });
});

test("deploy prints how to call what it deployed", async () => {
  const { code, out } = await flotilla(["deploy", "shop.ts"]);
  expect({ code, out }).toEqual({
    code: 0,
    out: "Deployed shop version 1\n  flotilla call shop price\n",
  });
  expect(deploys).toMatchObject([{ mode: "deployed" }]);
});

test("call prints the result and nothing else", async () => {
  const { code, out, err } = await flotilla(["call", "shop", "price", "21"]);
  expect({ code, out, err }).toEqual({ code: 0, out: "42\n", err: "" });
});

test("call says what it waits for once that takes longer, and ctrl-C cancels it", async () => {
  answer = () => "never";
  pendingReason = "no node has an H100";
  const { child, ended } = start(["call", "shop", "price", "21"]);
  let err = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    if (err.includes("waiting: no node has an H100")) child.kill("SIGINT");
  });
  const { code, out } = await ended;
  expect({ code, out }).toEqual({ code: 130, out: "" });
  expect(server.requests.filter((request) => request.endsWith("/cancel"))).toHaveLength(1);
});

test.each(["stdout", "stderr"] as const)("a closed %s is no crash", async (stream) => {
  const { child, ended } = start(["deploy", "shop.ts"]);
  child[stream]?.destroy();
  const { code, err } = await ended;
  expect(code).toBe(0);
  expect(err).not.toContain("EPIPE");
  if (stream === "stderr") expect(deploys).toHaveLength(1);
});

test("what cannot be a container is not found, whatever the command", async () => {
  for (const command of ["stop", "logs"]) {
    const { code, err } = await flotilla(["container", command, "shop"]);
    expect(code).toBe(4);
    expect(err).toContain("flotilla container list");
  }
});

test("logs without -f end by themselves", async () => {
  const { code, out } = await flotilla(["app", "logs", "ap_1"]);
  expect({ code, out }).toEqual({ code: 0, out: "from the container\n" });
});

test("a list with nothing in it is an empty list in JSON", async () => {
  const { code, out } = await flotilla(["app", "list", "--json"]);
  expect({ code, out }).toEqual({ code: 0, out: '{"apps":[]}\n' });
});

test("help loads quickly", async () => {
  const timed = async (args: string[]): Promise<number> => {
    const startedAtMs = performance.now();
    const child = spawn(process.execPath, args, { stdio: "ignore" });
    await new Promise((end) => child.on("close", end));
    return performance.now() - startedAtMs;
  };
  const best = async (args: string[]): Promise<number> => {
    let bestMs = Infinity;
    for (let round = 0; round < 5; round++) bestMs = Math.min(bestMs, await timed(args));
    return bestMs;
  };
  expect((await best([BIN, "--help"])) / (await best(["-e", "0"]))).toBeLessThan(4);
});
