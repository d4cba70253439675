/**
 * A web server that nobody has read, looked at from outside its sandbox: `node
 * examples/sandbox-tunnel.ts`.
 */
import { Sandbox } from "flotilla";

const code = `
import { createServer } from "node:http";
createServer((_request, response) => {
  response.setHeader("content-type", "text/html");
  response.end("<h1>Made by a model</h1>");
}).listen(8080, "127.0.0.1", () => console.log("ready"));
`;

const sandbox = await Sandbox.create({ memoryMiB: 256, timeoutMs: 60_000 });
try {
  await sandbox.files.write("/tmp/site.mjs", code);
  const server = await sandbox.exec(["node", "/tmp/site.mjs"]);
  // It prints a line once it listens; before that the URL answers 502.
  await server.stdout[Symbol.asyncIterator]().next();
  const [site] = await sandbox.tunnels(8080);
  const page = await fetch(site.url);
  console.log(page.status, await page.text());
} finally {
  await sandbox.terminate();
}
