/** An HTTP server of its own in containers at a URL, with what it keeps in memory. */
import { createServer } from "node:http";
import { App } from "flotilla";

const app = new App("web-server");
const PORT = 8000;

export const counter = app.webServer({ port: PORT, maxContainers: 1, name: "counter" }, () => {
  let count = 0;
  createServer((request, response) => {
    if (request.method === "POST") count += 1;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ path: request.url, count }));
  }).listen(PORT, "127.0.0.1");
});

app.localEntrypoint(async () => {
  const url = await counter.url();
  await fetch(url, { method: "POST" });
  await fetch(url, { method: "POST" });
  const answer = await fetch(`${url}/now`);
  console.log(await answer.json());
});
