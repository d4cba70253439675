import { describe, expect, test } from "vitest";
import { App } from "./app.ts";
import { Client } from "./client/client.ts";
import { registeredApps } from "./registry.ts";
import type { WebEndpointSpec } from "./web.ts";

const handler = (): string => "answer";
let count = 0;

function defined(spec: WebEndpointSpec) {
  count += 1;
  const app = new App(`web-${count}`);
  const endpoint = app.webEndpoint(spec, handler);
  return { endpoint, record: registeredApps().get(app.name)?.functions[0] };
}

test("an endpoint's options are parted into the function's and the URL's", () => {
  const spec = {
    method: "POST",
    path: "v1/x",
    requiresToken: true,
    answerWithinMs: 1_000,
  } as const;
  const { record } = defined({ ...spec, cpu: 2, name: "x" });
  expect(record?.spec).toEqual({
    cpu: 2,
    name: "x",
    web: { methods: ["POST"], path: "v1/x", requiresToken: true, answerWithinMs: 1_000 },
  });
  expect(record?.program()).toMatchObject({ isWeb: true, handler });
  expect(defined({}).record?.spec).toEqual({ web: {} });
});

test("an endpoint can be asked here", async () => {
  const app = new App("web-local");
  const endpoint = app.webEndpoint({}, async (request) => (await request.text()).toUpperCase());
  const request = new Request("http://x.example", { method: "POST", body: "loud" });
  expect(await endpoint.local(request)).toBe("LOUD");
});

describe("what is wrong is named", () => {
  test.each([
    [{ method: "get" }, "method"],
    [{ method: [] }, "method"],
    [{ method: ["GET", "TRACE"] }, "TRACE"],
    [{ path: "/lead" }, "path"],
    [{ path: "a/../b" }, "path"],
    [{ path: "" }, "path"],
    [{ path: 7 }, "path"],
    [{ requiresToken: "yes" }, "requiresToken"],
    [{ answerWithinMs: 10 }, "answerWithinMs"],
    [{ answerWithinMs: 1e9 }, "answerWithinMs"],
    [{ schedule: {} }, "schedule"],
    [{ port: 80 }, "webServer"],
    [{ cpus: 1 }, "cpus"],
    [null, "spec"],
  ])("%j", (spec, word) => {
    const app = new App("web-wrong");
    expect(() => app.webEndpoint(spec as never, handler)).toThrow(word);
  });

  test("and so is code that is none", () => {
    expect(() => new App("web-wrong").webEndpoint({}, "x" as never)).toThrow("second argument");
  });
});

describe("a web server", () => {
  test("has a port, takes many at once, and is started after a snapshot", async () => {
    const app = new App("web-server");
    let starts = 0;
    app.webServer({ port: 8000, cpu: 1, name: "site" }, () => (starts += 1));
    const record = registeredApps().get("web-server")?.functions[0];
    expect(record?.spec).toEqual({
      cpu: 1,
      name: "site",
      maxConcurrentInputs: 100,
      web: { port: 8000 },
    });
    const program = record?.program();
    await program?.enter(true);
    expect(starts).toBe(0);
    await program?.enter(false);
    expect(starts).toBe(1);
    expect(program).toMatchObject({ isWeb: true, server: { port: 8000 } });
  });

  test("may be a program", () => {
    const app = new App("web-program");
    app.webServer({ port: 1, maxConcurrentInputs: 1 }, ["python3", "-m", "http.server"]);
    const program = registeredApps().get("web-program")?.functions[0]?.program();
    expect(program?.server).toEqual({ port: 1, command: ["python3", "-m", "http.server"] });
  });

  test.each([
    [{ port: 0 }, ["a"], "port"],
    [{ port: 65_536 }, ["a"], "port"],
    [{}, ["a"], "port"],
    [{ port: "80" }, ["a"], "port"],
    [{ port: 80 }, [], "program"],
    [{ port: 80 }, "python3", "program"],
    [{ port: 80 }, [1], "program"],
    [{ port: 80, path: "/x" }, ["a"], "path"],
  ])("%j started by %j is refused", (spec, start, word) => {
    const app = new App("web-wrong");
    expect(() => app.webServer(spec as never, start as never)).toThrow(word);
  });
});

describe("the URL of an endpoint", () => {
  test("is that of the server and the function's path", async () => {
    const client = new Client({ serverUrl: "http://server.example:7070", token: "fl_x" });
    const app = new App("web-url", { client });
    const endpoint = app.webEndpoint({ name: "greet" }, handler);
    expect(endpoint.functionName).toBe("greet");
    const record = registeredApps().get("web-url")?.functions[0];
    if (record !== undefined) record.binding.webPath = "/web/main/web-url~dev/greet";
    const url = "http://server.example:7070/web/main/web-url~dev/greet";
    expect(await endpoint.url()).toBe(url);
  });
});

describe("a URL whose code is Python", () => {
  const code = { runtime: "python", source: "web.py", handler: "answer" } as const;

  test("has the options of both, and is named by its handler", () => {
    const app = new App("py");
    const endpoint = app.webEndpoint({ ...code, method: "POST", path: "v1/answer" });
    const server = app.webServer({ ...code, handler: "Site.serve", port: 8000, name: "site" });
    expect([endpoint.functionName, server.functionName]).toEqual(["answer", "site"]);
    const [first, second] = registeredApps().get("py")?.functions ?? [];
    expect(first).toMatchObject({
      python: { source: "web.py", handler: "answer" },
      spec: { web: { methods: ["POST"], path: "v1/answer" } },
    });
    expect(second).toMatchObject({
      python: { source: "web.py", handler: "Site.serve" },
      spec: { web: { port: 8000 }, maxConcurrentInputs: 100 },
    });
  });

  test("is refused with code of TypeScript, with processes, and without a port for a server", () => {
    const app = new App("py-mistakes");
    const withCode = app.webEndpoint.bind(app) as (spec: object, code: unknown) => unknown;
    const any = app.webServer.bind(app) as (spec: object) => unknown;
    expect(() => withCode(code, () => 1)).toThrow("has its code in `source`");
    expect(() => withCode({ ...code, port: 80 }, undefined)).toThrow("use app.webServer");
    expect(() => withCode({ ...code, workers: "processes" }, undefined)).toThrow("no workers");
    expect(() => withCode({ ...code, handler: "1" }, undefined)).toThrow("handler must name");
    expect(() => any(code)).toThrow("port must be");
    expect(() => any({ ...code, runtime: "ruby", port: 80 })).toThrow("runtime must be");
  });
});
