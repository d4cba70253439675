import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createFakeClient, type FakeClient } from "../fake-client.ts";

let client: FakeClient;
let url: string;

beforeEach(async () => {
  client = await createFakeClient();
  url = await client.app.listen({ host: "127.0.0.1", port: 0 });
});
afterEach(async () => {
  await client.app.close();
});

/** What the server answers to these bytes. */
async function answerTo(...lines: readonly string[]): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write([...lines, "", ""].join("\r\n"));
  return text(socket);
}

describe("requests below /web", () => {
  test.each([
    ["POST", "application/json", '{"broken'],
    ["PUT", "text/plain", "x"],
    ["PATCH", "no media type", "x"],
    ["DELETE", "application/vnd.flotilla.frame", "x"],
    ["POST", "multipart/form-data", "x"],
  ])("%s with a body of %s go to the function as they are", async (method, type, body) => {
    const response = await fetch(`${url}/web/main/app/some/path?q=%20`, {
      method,
      headers: { "content-type": type },
      body,
    });
    expect(response.status).toBe(200);
    const asked = { method, url: "/web/main/app/some/path?q=%20", body };
    expect(await response.json()).toEqual(asked);
  });

  test("need no token of the server's own", async () => {
    expect((await fetch(`${url}/web/main/app/x`, { method: "OPTIONS" })).status).toBe(200);
    expect((await fetch(`${url}/web/main`)).status).toBe(401);
  });

  test("may ask for another protocol, which agents alone do elsewhere", async () => {
    const upgrade = ["host: x", "connection: upgrade", "upgrade: websocket"];
    const answer = await answerTo("GET /web/main/app/socket HTTP/1.1", ...upgrade);
    expect(answer).toContain("101");
    expect(answer).toContain("/web/main/app/socket");
    expect(await answerTo("GET /webx HTTP/1.1", ...upgrade)).toContain("404");
  });

  test("headers beyond the limit are refused before anybody sees them", async () => {
    const answer = await answerTo("GET /web/main/app/x HTTP/1.1", `a: ${"x".repeat(20_000)}`);
    expect(answer).toContain("431");
    expect(answer).toContain("application/problem+json");
  });

  test("a request with two lengths is refused", async () => {
    const lengths = ["content-length: 1", "content-length: 2"];
    expect(await answerTo("POST /web/main/app/x HTTP/1.1", "host: x", ...lengths)).toContain("400");
  });
});

test("results are asked for by the id of a call and nothing else", async () => {
  expect(await (await fetch(`${url}/web-results/ca_${"0".repeat(26)}`)).text()).toMatch(/^ca_0/);
  expect((await fetch(`${url}/web-results/nothing`)).status).toBe(400);
});
