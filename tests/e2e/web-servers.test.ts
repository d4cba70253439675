import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { TestPlatform } from "../support/platform.ts";

describe("web servers", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/web.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const urlOf = (path: string): string => `${platform.running.serverUrl}/web/default/web/${path}`;
  const logs = (): string => {
    const { stdout, stderr } = platform.tryCli("app", "logs", "web");
    return stdout + stderr;
  };
  const containers = async (): Promise<{ function: string; state: string }[]> => {
    const listed = await platform.get<{ containers: { function: string; state: string }[] }>(
      "/v1/containers",
    );
    return listed.containers.filter((one) => one.function === "server");
  };

  async function openSocket(path: string): Promise<WebSocket> {
    const socket = new WebSocket(urlOf(path).replace("http", "ws"));
    await new Promise((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return socket;
  }

  const nextOf = (socket: WebSocket): Promise<string> =>
    new Promise((resolve) => {
      socket.once("message", (data: Buffer) => resolve(data.toString()));
    });

  it("are asked once their port is open, with the path that they know", async () => {
    const response = await fetch(urlOf("server/a/b?c=1"), { method: "POST", body: "12345" });
    expect(response.status).toBe(203);
    expect(await response.text()).toBe("POST /a/b?c=1 /web/default/web/server 5");
    const large = new Uint8Array(3 * 1024 * 1024);
    const put = await fetch(urlOf("server/put"), { method: "PUT", body: large });
    expect(await put.text()).toBe(`PUT /put /web/default/web/server ${large.byteLength}`);
  });

  it("serve several requests at once in one container", async () => {
    const answers = await Promise.all(
      ["1", "2", "3", "4"].map(async () => fetch(urlOf("server/late"))),
    );
    expect(answers.map(({ status }) => status)).toEqual([203, 203, 203, 203]);
    const pids = new Set(answers.map(({ headers }) => headers.get("x-started")));
    expect(pids).toEqual(new Set(["1"]));
  });

  it("may be any program", async () => {
    expect(await (await fetch(urlOf("program/x"))).text()).toBe("program /x");
    const failed = await fetch(urlOf("ends"));
    expect(failed.status).toBe(502);
    expect(await failed.text()).toContain("did not start");
  });

  it("talk over WebSockets, and keep their container busy as long as one is open", async () => {
    const socket = await openSocket("server/socket");
    for (const text of ["one", "two", "three"]) {
      const answer = nextOf(socket);
      socket.send(text);
      expect(await answer).toBe(text);
    }
    // Longer than an idle container is kept.
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    expect((await containers()).map(({ state }) => state)).toContain("busy");
    const answer = nextOf(socket);
    socket.send("still here");
    expect(await answer).toBe("still here");
    socket.terminate();
    await expect.poll(logs, { interval: 200 }).toContain("socket closed");
    await expect
      .poll(async () => (await containers()).some(({ state }) => state === "busy"), {
        timeout: 5_000,
      })
      .toBe(false);
  });

  it("refuse a WebSocket in their own words", async () => {
    const socket = new WebSocket(urlOf("server/refused").replace("http", "ws"));
    const status = await new Promise((resolve) => {
      socket.once("unexpected-response", (_request, response) => {
        resolve([response.statusCode, response.headers["x-why"]]);
      });
      socket.on("error", () => undefined);
    });
    expect(status).toEqual([403, "closed"]);
    socket.terminate();
  });

  it("are the only functions that take WebSockets", async () => {
    const socket = new WebSocket(urlOf("echo").replace("http", "ws"));
    const status = await new Promise((resolve) => {
      socket.once("unexpected-response", (_request, response) => resolve(response.statusCode));
      socket.on("error", () => undefined);
    });
    expect(status).toBe(400);
    socket.terminate();
  });

  it("take no more connections at once than their inputs, and then another container", async () => {
    // Short requests came before, so that nothing tells how long a connection stays.
    for (let sent = 0; sent < 10; sent += 1) await fetch(urlOf("server/short"));
    const sockets = await Promise.all([1, 2, 3, 4, 5].map(async () => openSocket("server/socket")));
    expect((await containers()).length).toBeGreaterThanOrEqual(2);
    for (const socket of sockets) socket.terminate();
  });
});
