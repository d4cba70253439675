import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkRedis } from "./check-redis.ts";
import { connectRedis, type RedisEndpoint } from "./endpoint.ts";
import { identify } from "./process-facts.ts";
import { startRedisChild, type RedisChild, type RedisExit } from "./redis-child.ts";

let dataDir: string;
const children: RedisChild[] = [];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "flotilla redis-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) await child.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const start = async (dir = dataDir): Promise<RedisChild> => {
  const child = await startRedisChild({ dataDir: dir });
  children.push(child);
  return child;
};

const onRedis = async <Result>(
  endpoint: RedisEndpoint,
  work: (redis: ReturnType<typeof connectRedis>) => Promise<Result>,
): Promise<Result> => {
  const redis = connectRedis(endpoint, "test", () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
};

const exitOf = async (child: RedisChild): Promise<RedisExit> =>
  new Promise((done) => child.onExit(done));

test("it listens on a unix socket only, keeps a file and never evicts", async () => {
  const child = await start();
  await checkRedis(child.endpoint);
  const settings = await onRedis(child.endpoint, async (redis) => [
    await redis.config("GET", "port"),
    await redis.config("GET", "appendonly"),
  ]);
  expect(settings).toEqual([
    ["port", "0"],
    ["appendonly", "yes"],
  ]);
});

test("killed, it comes back with what it had, and says that it died", async () => {
  const child = await start();
  const exited = exitOf(child);
  const first = child.pid();
  await onRedis(child.endpoint, async (redis) => {
    await redis.set("kept", "1");
    if (first !== undefined) process.kill(first, "SIGKILL");
    expect(await exited).toMatchObject({ pid: first, signal: "SIGKILL" });
    expect(await redis.get("kept")).toBe("1");
  });
  expect(child.pid()).not.toBe(first);
  expect(child.pid()).toBeDefined();
});

test("stopped, it is gone with its pid file, and stopping again is no error", async () => {
  const child = await start();
  const pid = child.pid() ?? 0;
  await child.stop();
  await child.stop();
  expect(await identify(pid)).toBeUndefined();
  expect(existsSync(join(dataDir, "redis", "redis.pid"))).toBe(false);
});

test("what was written before a stop is there after the next start", async () => {
  const first = await start();
  await onRedis(first.endpoint, async (redis) => redis.set("a", "1"));
  await first.stop();
  const second = await start();
  expect(await onRedis(second.endpoint, async (redis) => redis.get("a"))).toBe("1");
});

test("an orphan of a killed predecessor is ended and its data taken over", async () => {
  const script = join(dataDir, "leave-orphan.ts");
  const module = join(import.meta.dirname, "redis-child.ts");
  const code = `import { startRedisChild } from ${JSON.stringify(module)};
    const child = await startRedisChild({ dataDir: ${JSON.stringify(dataDir)} });
    process.stdout.write(String(child.pid()), () => process.kill(process.pid, "SIGKILL"));`;
  await writeFile(script, code);
  const predecessor = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  const text = await new Promise<string>((done) =>
    predecessor.stdout.once("data", (chunk: Buffer) => done(chunk.toString())),
  );
  await new Promise((done) => predecessor.once("close", done));
  const orphan = Number(text);
  expect(await identify(orphan)).toBeDefined();
  const child = await start();
  expect(await identify(orphan)).toBeUndefined();
  expect(child.pid()).not.toBe(orphan);
});

test("a folder that a running platform uses is refused and its redis left alone", async () => {
  const child = await start();
  const file = join(dataDir, "redis", "redis.pid");
  const held = JSON.parse(await readFile(file, "utf8")) as { redis: unknown };
  // A supervisor that runs and is not this process: the test runner's parent.
  await writeFile(file, JSON.stringify({ ...held, supervisor: await identify(process.ppid) }));
  await expect(start()).rejects.toMatchObject({ code: "conflict" });
  expect(await identify(child.pid() ?? 0)).toBeDefined();
});

test("an orphan whose pid file was never written is found by its socket", async () => {
  const folder = join(dataDir, "redis");
  await mkdir(folder);
  const words = ["--port", "0", "--unixsocket", join(folder, "redis.sock"), "--dir", folder];
  const orphan = spawn("redis-server", [...words, "--set-proc-title", "no"], { stdio: "ignore" });
  const ended = new Promise((done) => orphan.once("close", done));
  await onRedis({ path: join(folder, "redis.sock") }, async (redis) => redis.ping());
  const child = await start();
  await ended;
  expect(child.pid()).not.toBe(orphan.pid);
});

test.each(["", "garbage", '{"redis":{"pid":1,"startTicks":0}}', '{"redis":{"pid":-1}}'])(
  "a pid file that says %j ends nothing and does not stop the start",
  async (content) => {
    await mkdir(join(dataDir, "redis"));
    await writeFile(join(dataDir, "redis", "redis.pid"), content);
    expect((await start()).pid()).toBeDefined();
  },
);

test("a pid file that names a process which is not our redis ends nothing", async () => {
  const bystander = spawn("sleep", ["60"]);
  const pid = bystander.pid ?? 0;
  const mine = await identify(pid);
  await mkdir(join(dataDir, "redis"));
  await writeFile(
    join(dataDir, "redis", "redis.pid"),
    JSON.stringify({ redis: mine, supervisor: { pid: 999_999_999, startTicks: 1 } }),
  );
  await start();
  expect(await identify(pid)).toEqual(mine);
  bystander.kill();
});

test("a data folder whose path is too long for a socket works", async () => {
  const deep = join(dataDir, "x".repeat(60), "y".repeat(60));
  const child = await start(deep);
  expect(await onRedis(child.endpoint, async (redis) => redis.ping())).toBe("PONG");
  const path = "path" in child.endpoint ? child.endpoint.path : "";
  expect(path.length).toBeLessThan(104);
  await child.stop();
  expect(existsSync(dirname(path))).toBe(false);
});

test("a missing redis-server says what to install", async () => {
  const attempt = startRedisChild({ dataDir, command: "/nonexistent/redis-server" });
  await expect(attempt).rejects.toThrow(/apt-get install redis-server/);
});

test("a redis-server that dies at once says why", async () => {
  await mkdir(join(dataDir, "redis", "appendonlydir"), { recursive: true });
  await writeFile(join(dataDir, "redis", "appendonlydir", "appendonly.aof.manifest"), "broken\n");
  await expect(startRedisChild({ dataDir })).rejects.toThrow(/did not come up; it said: .+/s);
});

test("a Redis that evicts keys is refused with the command that mends it", async () => {
  const child = await start();
  await onRedis(child.endpoint, async (redis) =>
    redis.config("SET", "maxmemory-policy", "allkeys-lru"),
  );
  await expect(checkRedis(child.endpoint)).rejects.toThrow(
    /allkeys-lru.*CONFIG SET maxmemory-policy noeviction/,
  );
});

test("a Redis that is not there is said to be so, without its password", async () => {
  const attempt = checkRedis({ url: "redis://user:secret@127.0.0.1:1/0" });
  await expect(attempt).rejects.toMatchObject({ code: "unavailable" });
  await expect(
    checkRedis({ url: "redis://user:secret@127.0.0.1:1/0" }).catch((error: unknown) =>
      String(error),
    ),
  ).resolves.not.toContain("secret");
});
