import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import type { WebRequest } from "../../sandbox/index.ts";
import type { TokenScope } from "../../sdk/protocol/index.ts";
import type { StoredToken } from "../store/record-store.ts";
import { addressOf, admit, webRequestOf, type WebPlace } from "./web-request.ts";

function placeOf(web: object = {}): WebPlace {
  const stored = { name: "f", spec: { web } } as unknown as WebPlace["stored"];
  return { stored, workspaceId: "main", prefix: "/web/main/app/f", path: "/x?y" };
}

describe("an address", () => {
  test.each([
    ["/web/main/app/f/x?y=1", { workspaceId: "main", app: "app", rest: "/f/x?y=1" }],
    ["/web/main/app~dev/", { workspaceId: "main", app: "app~dev", rest: "/" }],
    ["/web/main/app", { workspaceId: "main", app: "app", rest: "" }],
    ["/web/main", undefined],
    ["/web//app/x", undefined],
    ["/webs/main/app", undefined],
    ["/", undefined],
  ])("%s", (url, address) => {
    expect(addressOf(url)).toEqual(address);
  });
});

describe("who may ask", () => {
  const tokenOf = (scopes: readonly TokenScope[], more: Partial<StoredToken> = {}) =>
    ({ kind: "user", workspaceId: "main", scopes, ...more }) as StoredToken;
  const asked: (string | undefined)[] = [];
  const gate = (token: StoredToken | undefined) => ({
    authenticate: (authorization: string | undefined) => {
      asked.push(authorization);
      return Promise.resolve(token);
    },
  });
  const ask = async (
    token: StoredToken | undefined,
    headers: IncomingMessage["headers"] = { authorization: "Bearer a" },
    web: object = { requiresToken: true },
    method = "GET",
  ) => admit({ method, headers }, placeOf(web), gate(token) as Parameters<typeof admit>[2]);

  test("everybody, where no token is asked for; and no token is looked at", async () => {
    asked.length = 0;
    expect(await ask(undefined, { authorization: "x" }, {})).toEqual(["x-flotilla-token"]);
    expect(asked).toEqual([]);
  });

  test("whoever may call functions of the workspace", async () => {
    expect(await ask(tokenOf(["call"]))).toEqual(["x-flotilla-token", "authorization"]);
    expect(await ask(tokenOf(["deploy"]))).toContain("authorization");
    const elsewhere = tokenOf(["operator"], { workspaceId: "other" });
    expect(await ask(elsewhere)).toContain("authorization");
  });

  test.each([
    ["none", undefined],
    ["an agent's", tokenOf([], { kind: "agent" })],
    ["one of no scope", tokenOf([])],
    ["another workspace's", tokenOf(["admin"], { workspaceId: "other" })],
  ])("nobody with %s token", async (_, token) => {
    await expect(ask(token)).rejects.toMatchObject({ code: "auth_failed" });
  });

  test("nobody whose token may only read", async () => {
    await expect(ask(tokenOf(["read"]))).rejects.toMatchObject({ status: 403 });
  });

  test("a token of its own header leaves Authorization to the function", async () => {
    asked.length = 0;
    const headers = { authorization: "Basic x", "x-flotilla-token": "fl_own" };
    expect(await ask(tokenOf(["call"]), headers)).toEqual(["x-flotilla-token"]);
    expect(asked).toEqual(["Bearer fl_own"]);
  });

  test("with a method that is taken: HEAD goes with GET, and OPTIONS always", async () => {
    const web = { methods: ["GET"] };
    for (const method of ["GET", "HEAD", "OPTIONS"]) {
      await expect(ask(undefined, {}, web, method)).resolves.toBeDefined();
    }
    await expect(ask(undefined, {}, web, "POST")).rejects.toMatchObject({
      status: 405,
      allowed: "GET, HEAD, OPTIONS",
    });
    const put = ask(undefined, {}, { methods: ["PUT"] }, "HEAD");
    await expect(put).rejects.toMatchObject({ status: 405, allowed: "PUT, OPTIONS" });
  });
});

/** What becomes of a request that is sent with this body. */
async function sent(
  body: Buffer | undefined,
  headers: Readonly<Record<string, string>> = {},
  web: object = {},
): Promise<WebRequest> {
  return new Promise((resolve, reject) => {
    const server = createServer((request, response) => {
      webRequestOf(request, placeOf(web), { hidden: [] })
        .then(resolve, reject)
        .finally(() => {
          response.end();
          server.close();
          server.closeAllConnections();
        });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      const client = httpRequest({ port, host: "127.0.0.1", method: "POST", headers });
      client.on("error", () => undefined);
      client.end(body);
    });
  });
}

describe("a body", () => {
  test("that is small goes with the input", async () => {
    const small = await sent(Buffer.from("small"), { "content-length": "5" });
    expect(Buffer.from(small.body ?? []).toString()).toBe("small");
    expect(small.streamsBody).toBeUndefined();
    expect((await sent(undefined, { "content-length": "0" })).body?.byteLength).toBe(0);
  });

  test("that is large, or of unknown length, is left to be streamed", async () => {
    const large = Buffer.alloc(48 * 1024 + 1);
    const length = { "content-length": String(large.byteLength) };
    expect(await sent(large, length)).toMatchObject({ streamsBody: true });
    expect((await sent(large, length)).body).toBeUndefined();
    expect(await sent(Buffer.from("x"), { "transfer-encoding": "chunked" })).toMatchObject({
      streamsBody: true,
    });
  });

  test("that is too large is refused before it is read", async () => {
    const wrong = sent(Buffer.from("x"), { "content-length": String(4 * 1024 ** 3 + 1) });
    await expect(wrong).rejects.toMatchObject({ status: 413 });
  });
});

test("a request says how its function is to see it", async () => {
  const request = await sent(
    Buffer.from("a"),
    { host: "h.example", "content-length": "1" },
    { port: 80 },
  );
  expect(request).toMatchObject({ method: "POST", url: "http://h.example/x?y", port: 80 });
});
