import { createHash } from "node:crypto";
import { connect } from "node:net";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TestPlatform } from "../support/platform.ts";

describe("web endpoints", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.cli("deploy", "tests/fixtures/web.ts");
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  const bytesOf = ({ body }: Response): AsyncIterable<Uint8Array> => {
    if (body === null) throw new Error("the response has no body");
    return body as ReadableStream<Uint8Array>;
  };
  const urlOf = (path: string): string => `${platform.running.serverUrl}/web/default/web/${path}`;
  const logs = (): string => {
    const { stdout, stderr } = platform.tryCli("app", "logs", "web");
    return stdout + stderr;
  };
  const bearer = (): string => `Bearer ${platform.running.token}`;

  it("answers what the function answers, without what is about the connection", async () => {
    const response = await fetch(urlOf("echo/deep/path?q=1&q=2"), {
      method: "PUT",
      headers: { "x-mine": "a", connection: "keep-alive" },
      body: "hello",
    });
    expect(response.status).toBe(200);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(response.headers.get("x-own")).toBe("yes");
    expect(response.headers.get("x-hop")).toBeNull();
    expect(response.headers.get("x-flotilla-call")).toMatch(/^ca_/);
    const seen = (await response.json()) as {
      method: string;
      url: string;
      body: string;
      headers: [string, string][];
    };
    const { host } = new URL(platform.running.serverUrl);
    expect(seen).toMatchObject({
      method: "PUT",
      url: `http://${host}/deep/path?q=1&q=2`,
      body: "hello",
    });
    const headers = new Map(seen.headers);
    expect(headers.get("x-mine")).toBe("a");
    expect(headers.get("x-forwarded-prefix")).toBe("/web/default/web/echo");
    expect(headers.has("connection")).toBe(false);
  });

  it("finds functions by the longest path, and none beside them", async () => {
    expect(await (await fetch(urlOf("anything/else"))).text()).toBe("/anything/else");
    expect(await (await fetch(urlOf(""))).text()).toBe("/");
    expect((await fetch(urlOf("v1/mirror"))).status).toBe(405);
    const missing = await fetch(`${platform.running.serverUrl}/web/default/nope/x`);
    expect(missing.status).toBe(404);
    expect(missing.headers.get("content-type")).toBe("application/problem+json");
  });

  it("streams bodies of many megabytes both ways at once", async () => {
    const part = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
    const sent = createHash("sha256");
    let left = 40;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (left === 0) {
          controller.close();
          return;
        }
        left -= 1;
        sent.update(part);
        controller.enqueue(part);
      },
    });
    const response = await fetch(urlOf("v1/mirror"), { method: "POST", body, duplex: "half" });
    const got = createHash("sha256");
    let bytes = 0;
    for await (const chunk of bytesOf(response)) {
      got.update(chunk);
      bytes += chunk.byteLength;
    }
    expect(bytes).toBe(40 * 1024 * 1024);
    expect(got.digest("hex")).toBe(sent.digest("hex"));
  });

  it("sends events as they come and tells the function that the client has gone", async () => {
    const leave = new AbortController();
    const response = await fetch(urlOf("ticks"), { signal: leave.signal });
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of bytesOf(response)) {
      text += decoder.decode(chunk);
      if (text.includes("data: 3")) break;
    }
    leave.abort();
    expect(text).toContain("data: 0\n\n");
    await expect.poll(logs, { interval: 200 }).toMatch(/left after \d+/);
  });

  it("makes no more of a response than its client takes", async () => {
    const { hostname, port } = new URL(platform.running.serverUrl);
    const socket = connect(Number(port), hostname);
    socket.write("GET /web/default/web/endless HTTP/1.1\r\nhost: x\r\n\r\n");
    await once(socket, "readable");
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    socket.destroy();
    await expect.poll(logs, { interval: 200 }).toMatch(/made \d+ parts/);
    const made = Number(/made (\d+) parts/.exec(logs())?.[1]);
    // Buffers of two sockets and a window lie between.
    expect(made).toBeLessThan(200);
  });

  it("sends a client that waits too long to the result", async () => {
    const first = await fetch(urlOf("slow"), { method: "POST", redirect: "manual" });
    expect(first.status).toBe(303);
    const location = first.headers.get("location") ?? "";
    expect(location).toMatch(/^\/web-results\/ca_/);
    const second = await fetch(new URL(location, platform.running.serverUrl), {
      redirect: "follow",
    });
    expect(second.status).toBe(201);
    expect(second.headers.get("x-own")).toBe("late");
    expect(await second.text()).toBe("late POST");
    // It is kept, and stays the same.
    const again = await fetch(new URL(location, platform.running.serverUrl));
    expect(await again.text()).toBe("late POST");
    expect(await (await fetch(urlOf("slow?ms=2000"))).text()).toBe("late GET");
  });

  it("says that a function failed, and nothing of how", async () => {
    const failed = await fetch(urlOf("breaks"));
    expect(failed.status).toBe(500);
    expect(failed.headers.get("content-type")).toBe("application/problem+json");
    expect(await failed.text()).not.toContain("secret");
    const ended = await fetch(urlOf("breaks?exit"));
    expect(ended.status).toBe(502);
    const half = await fetch(urlOf("breaks?half"));
    expect(half.status).toBe(200);
    await expect(half.text()).rejects.toThrow();
    await expect.poll(logs, { interval: 200 }).toContain("second half");
  });

  it("lets in only who has a token, and keeps the token to itself", async () => {
    expect((await fetch(urlOf("locked"))).status).toBe(401);
    const wrong = { authorization: `Bearer fl_${"a".repeat(52)}` };
    expect((await fetch(urlOf("locked"), { headers: wrong })).status).toBe(401);
    const right = await fetch(urlOf("locked"), { headers: { authorization: bearer() } });
    expect(Object.keys((await right.json()) as object)).not.toContain("authorization");
    const beside = await fetch(urlOf("locked"), {
      headers: { authorization: "Basic own", "x-flotilla-token": platform.running.token },
    });
    const seen = (await beside.json()) as Record<string, string>;
    expect(seen["authorization"]).toBe("Basic own");
    expect(seen["x-flotilla-token"]).toBeUndefined();
  });

  it("ends what does not stop when its client goes", async () => {
    const leave = new AbortController();
    const answer = fetch(urlOf("deaf"), { signal: leave.signal });
    answer.catch(() => undefined);
    await expect.poll(logs, { interval: 200 }).toContain("deaf ca_");
    leave.abort();
    const free = async (): Promise<number> => {
      const { functions } = await platform.get<{ functions: { name: string; backlog: number }[] }>(
        "/v1/functions?app=web",
      );
      return functions.find(({ name }) => name === "deaf")?.backlog ?? -1;
    };
    await expect.poll(free, { interval: 100 }).toBe(0);
  });

  it("is asked by the program that runs its file, where it lives no longer", () => {
    const { status, stdout, stderr } = platform.tryCli("run", "examples/web-endpoint.ts");
    expect(stderr).not.toContain("Uncaught");
    expect(stdout).toContain("Hello Ann");
    expect(stdout).toContain("data: 2, data: 1, data: 0");
    expect(status).toBe(0);
  });

  it("shows its URLs where it is deployed and listed", () => {
    const url = `${platform.running.serverUrl}/web/default/web/v1/mirror`;
    expect(platform.cli("deploy", "tests/fixtures/web.ts")).toContain(url);
    expect(platform.cli("app", "list")).toContain(url);
  });

  it("answers HEAD without a body", async () => {
    const response = await fetch(urlOf("ticks"), { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
  });
});
