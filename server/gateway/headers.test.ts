import { describe, expect, test } from "vitest";
import { requestHeaders, responseHeaders, urlBehind } from "./headers.ts";

const FACTS = { remoteAddress: "10.0.0.9", prefix: "/web/w/a/f", hidden: [] };
const seen = (rawHeaders: readonly string[], more: object = {}) =>
  requestHeaders({ ...FACTS, ...more, rawHeaders });

describe("a request's headers", () => {
  test("keep their order, case and doubles, and say whom they come from", () => {
    expect(seen(["Host", "site.example", "Accept", "a", "ACCEPT", "b", "Cookie", "c=1"])).toEqual([
      ["Host", "site.example"],
      ["Accept", "a"],
      ["ACCEPT", "b"],
      ["Cookie", "c=1"],
      ["x-forwarded-for", "10.0.0.9"],
      ["x-forwarded-host", "site.example"],
      ["x-forwarded-proto", "http"],
      ["x-forwarded-prefix", "/web/w/a/f"],
    ]);
  });

  test("lose what is about the connection, also what Connection names", () => {
    const names = seen([
      ...["Connection", "close, X-Mine", "X-Mine", "1", "Keep-Alive", "1", "TE", "trailers"],
      ...["Transfer-Encoding", "chunked", "Upgrade", "h2c", "Proxy-Authorization", "x", "A", "b"],
    ]).map(([name]) => name.toLowerCase());
    expect(names.filter((name) => !name.startsWith("x-forwarded"))).toEqual(["a"]);
  });

  test("cannot lie about where they came through, and lose what is hidden", () => {
    const headers = new Map(
      seen(["X-Forwarded-Prefix", "/x", "X-Forwarded-For", "1.2.3.4", "Authorization", "s"], {
        hidden: ["authorization"],
      }),
    );
    expect(headers.get("x-forwarded-prefix")).toBe("/web/w/a/f");
    expect(headers.get("x-forwarded-for")).toBe("1.2.3.4, 10.0.0.9");
    expect(headers.has("Authorization")).toBe(false);
  });

  test("ask for the other protocol again, where one is asked for", () => {
    const headers = seen(["Connection", "Upgrade", "Upgrade", "websocket"], {
      upgrade: "websocket",
    });
    expect(headers.slice(-2)).toEqual([
      ["connection", "Upgrade"],
      ["upgrade", "websocket"],
    ]);
  });
});

test("a response has the id of its call, whatever the function says", () => {
  const headers = [
    ["X-Flotilla-Call", "mine"],
    ["Connection", "x-a"],
    ["x-a", "1"],
    ["set-cookie", "1"],
    ["set-cookie", "2"],
  ] as const;
  expect(responseHeaders(headers, "ca_1")).toEqual([
    ["set-cookie", "1"],
    ["set-cookie", "2"],
    ["x-flotilla-call", "ca_1"],
  ]);
});

describe("the URL that a function sees", () => {
  const url = (host: string | undefined, path: string, rawHeaders: string[] = []) =>
    urlBehind({ headers: host === undefined ? {} : { host }, rawHeaders }, path);

  test.each([
    ["site.example:81", "/a?b=1", "http://site.example:81/a?b=1"],
    ["[::1]:81", "/", "http://[::1]:81/"],
    [undefined, "/a", "http://localhost/a"],
    ["bad host/..", "/a", "http://localhost/a"],
    ["a@b", "/a", "http://localhost/a"],
    ["site.example", "//evil.example/x", "http://site.example//evil.example/x"],
  ])("host %s and path %s", (host, path, expected) => {
    expect(url(host, path)).toBe(expected);
    expect(new URL(url(host, path)).protocol).toBe("http:");
  });

  test("is https where a proxy before says so, and nothing else", () => {
    expect(url("a.example", "/", ["X-Forwarded-Proto", "https"])).toBe("https://a.example/");
    expect(url("a.example", "/", ["X-Forwarded-Proto", "gopher"])).toBe("http://a.example/");
  });
});
