/** Programs in a container reach the hosts that they may, by their usual means, and no others. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestNode, type TestContainer } from "../attacks/test-node.ts";

let node: TestNode;
let server: Server;
let port: number;
let container: TestContainer;

const SOURCE = `
import http from "node:http";
import { spawnSync } from "node:child_process";
const failureOf = (error) => {
  for (let at = error; at; at = at.cause) if (at.code || at.message) error = at;
  return (error.code ?? "") + " " + error.message;
};
const ways = {
  fetch: async (url) => {
    const answer = await fetch(url);
    return answer.status + " " + (await answer.text());
  },
  get: (url) => new Promise((resolve, reject) => {
    http.get(url, (answer) => {
      let text = "";
      answer.on("data", (chunk) => (text += chunk));
      answer.on("end", () => resolve(answer.statusCode + " " + text));
    }).on("error", reject);
  }),
  child: (url) => {
    const program = "fetch(" + JSON.stringify(url) + ").then((a) => a.text()).then(console.log)";
    const { stdout, stderr } = spawnSync(process.execPath, ["-e", program], { timeout: 20000 });
    return String(stdout).trim() || String(stderr).slice(0, 500);
  },
  direct: (url) => new Promise((resolve, reject) => {
    http.get(url, { agent: new http.Agent() }, () => resolve("reached")).on("error", reject);
  }),
  post: async (url) => {
    const answer = await fetch(url, { method: "POST", body: "x".repeat(3_000_000) });
    return answer.status + " " + (await answer.text());
  },
  variables: () => Object.keys(process.env).filter((name) => /proxy/i.test(name)).sort(),
};
export const run = async (way, url) => {
  try { return await ways[way](url); } catch (error) { return failureOf(error); }
};`;

beforeAll(async () => {
  server = createServer((request, response) => {
    if (request.url === "/metadata") {
      response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data/" }).end();
      return;
    }
    let bytes = 0;
    request.on("data", (chunk: Buffer) => (bytes += chunk.byteLength));
    request.on("end", () => response.end(`hello ${request.method ?? ""} ${bytes}`));
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  port = (server.address() as AddressInfo).port;
  node = await TestNode.open({ openRanges: ["127.0.0.1"] });
  container = await node.start(SOURCE, {
    allowHosts: [`localhost.test:${port}`, `127.0.0.1:${port}`, "*:80"],
  });
});

afterAll(async () => {
  await node.close();
  server.close();
});

// A container's own 127.0.0.1 is itself, so its proxy is told the host in another spelling.
const url = (path = "/"): string => `http://127.0.0.1:${port}${path}`;

test("without allowed hosts there is no proxy and no way out", async () => {
  const closed = await node.start(SOURCE);
  expect(await closed.call("variables")).toEqual([]);
  expect(await closed.call("fetch", "http://1.1.1.1/")).toMatch(/EHOSTUNREACH|ENETUNREACH/);
  closed.stop();
  await closed.exit();
});

test.each(["fetch", "get", "child"])(
  "%s reaches an allowed host through the proxy",
  async (way) => {
    const open = await node.start(SOURCE, {
      allowHosts: [`127.0.0.1:${port}`],
      env: { NO_PROXY: "none", no_proxy: "none" },
    });
    expect(await open.call(way, url())).toMatch(/hello GET 0/);
    expect(await open.call("post", url())).toBe("200 hello POST 3000000");
    open.stop();
    await open.exit();
    expect(open.traces).toEqual([]);
    const own = node.audit.filter(({ containerId }) => containerId === open.containerId);
    for (const entry of own) expect(entry).toMatchObject({ outcome: "closed", port });
    // One program keeps its connection for the next request, another makes a new one.
    expect(own.reduce((sum, { bytesOut }) => sum + bytesOut, 0)).toBeGreaterThan(3_000_000);
  },
);

test("what does not take a proxy has no network", async () => {
  expect(await container.call("direct", "http://1.1.1.1/")).toMatch(/EHOSTUNREACH|ENETUNREACH/);
});

test.each([
  "http://169.254.169.254/latest/meta-data/",
  "http://[fd00:ec2::254]/",
  "http://[::ffff:169.254.169.254]/",
  "http://10.0.0.1/",
  "http://192.168.1.1/",
  "http://100.64.0.1/",
])("%s is refused with a reason, although every host is allowed", async (target) => {
  expect(await container.call("get", target)).toMatch(/^403 .* leads to .*, which is/);
});

test("a redirect is a connection of its own, and is judged again", async () => {
  const open = await node.start(SOURCE, {
    allowHosts: [`127.0.0.1:${port}`, "*:80"],
    env: { NO_PROXY: "none", no_proxy: "none" },
  });
  expect(await open.call("fetch", url("/metadata"))).toMatch(/403|refused|aborted|Proxy/i);
  expect(node.audit.at(-1)).toMatchObject({ host: "169.254.169.254", outcome: "refused" });
});

test("a host that is not in the list is refused, by its own reason", async () => {
  const open = await node.start(SOURCE, { allowHosts: ["example.com"] });
  expect(await open.call("get", "http://example.org/")).toMatch(/403 .*network.allowHosts/);
  expect(await open.call("get", "http://0x7f000001/")).toMatch(/403|ECONNREFUSED/);
});
