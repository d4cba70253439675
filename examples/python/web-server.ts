/** An HTTP server in Python, of the standard library or of any framework, at a URL of its own. */
import { App } from "flotilla";

const app = new App("python-server");

export const site = app.webServer({
  runtime: "python",
  source: "server.py",
  handler: "serve",
  port: 8000,
  path: "/",
});

app.localEntrypoint(async () => {
  const answer = await fetch(new URL("hello/you", await site.url()));
  console.log(await answer.text());
});
