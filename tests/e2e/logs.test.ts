import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../core/index.ts";
import { HEARTBEAT_MS } from "../../sandbox/index.ts";
import { TestPlatform } from "../support/platform.ts";

const CLI = join(import.meta.dirname, "../../sdk/bin/flotilla.mjs");
const LINE_COUNT = 3_000;
const SEED = "cuts";

/** A way to the server on which every connection breaks after a random number of bytes. */
async function brittleWay(port: number): Promise<{ server: Server; cuts: () => number }> {
  const rng = createRng(SEED);
  let cutCount = 0;
  const server = createServer((client: Socket) => {
    const onward = connect(port, "127.0.0.1");
    let left = 500 + Math.floor(rng.next() * 60_000);
    for (const socket of [client, onward]) socket.on("error", () => undefined);
    client.pipe(onward);
    onward.on("data", (chunk: Buffer) => {
      // Cut in the middle of whatever it is.
      client.write(chunk.subarray(0, left));
      left -= chunk.byteLength;
      if (left > 0) return;
      cutCount += 1;
      client.destroy();
      onward.destroy();
    });
    onward.on("close", () => client.destroy());
    client.on("close", () => onward.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, cuts: () => cutCount };
}

describe("flotilla logs", () => {
  const platform = new TestPlatform();

  beforeAll(async () => {
    await platform.start();
    platform.write(
      "prints.ts",
      `import { App } from "flotilla";
       const app = new App("prints");
       export const print = app.function({ cpu: 0.1, memoryMiB: 128 }, async (count, tag) => {
         for (let line = 1; line <= count; line += 1) {
           console.log(tag + " " + line);
           if (line % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
         }
       });`,
    );
    platform.cli("deploy", join(platform.scratchDir, "prints.ts"));
  });

  afterAll(async () => {
    expect(await platform.close()).toEqual({ processes: [], mounts: 0 });
  });

  it("follows through connections that break anywhere: each line once, in order", async () => {
    const { port } = new URL(platform.running.serverUrl);
    const { server, cuts } = await brittleWay(Number(port));
    const way = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const following = spawn(process.execPath, [CLI, "logs", "prints", "--follow"], {
      env: { ...process.env, FLOTILLA_SERVER_URL: way },
    });
    let printed = "";
    let said = "";
    following.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    following.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const print = await platform.lookup<[number, string], undefined>("prints", "print");
    await print.remote(LINE_COUNT, "line");
    const lines = (): string[] => printed.split("\n").filter((line) => line.startsWith("line "));
    await expect.poll(() => lines().length, { interval: 200 }).toBeGreaterThanOrEqual(LINE_COUNT);
    const wanted = Array.from({ length: LINE_COUNT }, (_, index) => `line ${index + 1}`);
    expect(lines()).toEqual(wanted);
    expect(said).not.toContain("missing");
    expect(cuts()).toBeGreaterThan(5);
    const ended = once(following, "exit");
    following.kill("SIGINT");
    await ended;
    server.close();
  });

  it("follows through a server that its nodes have given up: none is lost", async () => {
    const following = spawn(process.execPath, [CLI, "logs", "prints", "--follow"]);
    let printed = "";
    let said = "";
    following.stdout.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    following.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
    const lines = (): string[] => printed.split("\n").filter((line) => line.startsWith("kept "));
    const print = await platform.lookup<[number, string], undefined>("prints", "print");
    const call = await print.spawn(LINE_COUNT, "kept");
    await expect.poll(() => lines().length).toBeGreaterThan(100);
    const { pid } = platform.running;
    process.kill(pid, "SIGSTOP");
    try {
      // Longer than the silence after which an agent cuts its link.
      await new Promise((resolve) => setTimeout(resolve, 6 * HEARTBEAT_MS));
    } finally {
      process.kill(pid, "SIGCONT");
    }
    await call.get({ timeoutMs: 60_000 });
    await expect.poll(() => lines().length, { interval: 200 }).toBeGreaterThanOrEqual(LINE_COUNT);
    const wanted = Array.from({ length: LINE_COUNT }, (_, index) => `kept ${index + 1}`);
    expect(lines()).toEqual(wanted);
    expect(said).not.toContain("missing");
    const ended = once(following, "exit");
    following.kill("SIGINT");
    await ended;
  });

  it("gives what was printed since, and nothing older", async () => {
    const print = await platform.lookup<[number, string], undefined>("prints", "print");
    await print.remote(1, "older");
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const since = new Date().toISOString();
    await print.remote(1, "newer");
    const seen = platform.cli("logs", "prints", "--since", since);
    expect(seen).toContain("newer 1");
    expect(seen).not.toContain("older 1");
    expect(platform.cli("app", "logs", "prints", "--since", "1h")).toContain("older 1");
    expect(platform.tryCli("logs", "prints", "--since", "later").status).toBe(2);
    expect(platform.tryCli("logs", "nope").status).toBe(4);
  });
});
