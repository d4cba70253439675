/** Code that looks for a way out: to files, processes, sockets and networks that are not its own. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOMY, Siege } from "./siege.ts";
import type { TestNode } from "./test-node.ts";

let siege: Siege;
let node: TestNode;

beforeAll(async () => {
  siege = await Siege.open();
  node = siege.node;
});

afterAll(async () => {
  await siege.close();
});

test("host files: no spelling of a path leads out of the container", async () => {
  const secret = await mkdtemp(join(tmpdir(), "flotilla-secret-"));
  await writeFile(join(secret, "key"), "of the host");
  const attacker = await node.start(
    `import { readFileSync, symlinkSync, readlinkSync, readdirSync } from "node:fs";
     const read = (path) => {
       try { return path + ": " + readFileSync(path, "latin1"); } catch (error) { return error.code; }
     };
     let links = 0;
     const linkTo = (target) => {
       links += 1;
       symlinkSync(target, "/tmp/link" + links);
       return "/tmp/link" + links;
     };
     export const run = (path) => {
       const ways = ["/runner/../../../..", "/proc/self/root", "/proc/1/root", "/proc/self/cwd/../.."];
       for (const fd of readdirSync("/proc/self/fd")) {
         ways.push("/proc/self/fd/" + fd + "/../../../../..");
         try { ways.push(readlinkSync("/proc/self/fd/" + fd) + "/../../.."); } catch {}
       }
       const climbs = ways.flatMap((way) => [way + path, linkTo(way + path)]);
       return [path, linkTo("../../../.." + path), ...climbs].map(read)
         .filter((text) => !/^E[A-Z]+$/.test(text));
     };`,
  );
  for (const path of [
    join(secret, "key"),
    "/etc/hostname",
    "/etc/shadow",
    node.dir,
    "/proc/kcore",
  ]) {
    expect(await attacker.call(path)).toEqual([]);
  }
  await rm(secret, { recursive: true });
  await siege.expectGone(attacker);
});

test("other containers: their files, processes and sockets are not there", async () => {
  const victim = await node.start(
    `import { writeFileSync } from "node:fs";
     import { createServer } from "node:net";
     export const run = async () => {
       writeFileSync("/tmp/of-the-victim", "secret");
       await new Promise((resolve) => createServer().listen(4000, "127.0.0.1", resolve));
       await new Promise((resolve) => createServer().listen("\0of-the-victim", resolve));
       return process.pid;
     };`,
  );
  await victim.call();
  const attacker = await node.start(
    `import { existsSync, readdirSync, readFileSync } from "node:fs";
     import { connect } from "node:net";
     const reaches = (to) => new Promise((resolve) => {
       const socket = connect(to, () => resolve("connected"));
       socket.on("error", (error) => resolve(error.code));
     });
     export const run = async (pids) => ({
       files: readdirSync("/tmp").filter((name) => name.includes("victim")),
       processes: readdirSync("/proc").filter((name) => /^[0-9]+$/.test(name) && !["1", String(process.pid)].includes(name)),
       foreign: pids.filter((pid) => {
         try { process.kill(pid, 0); return true; } catch { return existsSync("/proc/" + pid); }
       }),
       mounts: readFileSync("/proc/mounts", "utf8").includes("co_attack"),
       sockets: await Promise.all([reaches({ host: "127.0.0.1", port: 4000 }), reaches("\0of-the-victim")]),
     });`,
  );
  const pids = victim.traces
    .flatMap((trace) => /^process (\d+)/.exec(trace)?.[1] ?? [])
    .map(Number);
  expect(pids.length).toBeGreaterThan(0);
  expect(await attacker.call(pids.filter((pid) => pid > 1))).toEqual({
    files: [],
    // Beside itself and its first process, which waits for orphans.
    processes: [],
    foreign: [],
    mounts: false,
    sockets: ["ECONNREFUSED", "ECONNREFUSED"],
  });
  await siege.expectGone(attacker);
  await siege.expectGone(victim);
});

test("metadata endpoint, this machine and the network: no spelling of an address reaches any", async () => {
  const server = createServer((socket) => socket.end("of the host")).listen(0, "0.0.0.0");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const attacker = await node.start(
    `import { connect } from "node:net";
     import { createSocket } from "node:dgram";
     import { lookup } from "node:dns/promises";
     import { networkInterfaces } from "node:os";
     const reaches = ([host, port]) => new Promise((resolve) => {
       const socket = connect({ host, port });
       socket.on("data", (data) => resolve(host + ": " + data));
       socket.on("connect", () => resolve(host + ": connected"));
       socket.on("error", () => resolve(undefined));
       setTimeout(() => resolve(undefined), 2000);
     });
     const sends = (host) => new Promise((resolve) => {
       createSocket(host.includes(":") ? "udp6" : "udp4")
         .send("x", 53, host, (error) => resolve(error?.code ?? "sent"));
     });
     export const run = async (targets) => ({
       reached: (await Promise.all(targets.map(reaches))).filter((one) => one !== undefined),
       sent: await Promise.all(["169.254.169.254", "8.8.8.8"].map(sends)),
       names: await lookup("metadata.google.internal").catch((error) => error.code),
       interfaces: Object.keys(networkInterfaces()),
     });`,
  );
  const metadata = ["169.254.169.254", "0xA9FEA9FE", "2852039166", "0251.0376.0251.0376"];
  const own = ["127.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "localhost", "127.1", "10.0.0.1"];
  const targets = [
    ...[...metadata, "fd00:ec2::254", "metadata.google.internal"].map((host) => [host, 80]),
    ...own.map((host) => [host, port]),
  ];
  expect(await attacker.call(targets)).toEqual({
    reached: [],
    sent: ["EHOSTUNREACH", "EHOSTUNREACH"],
    names: expect.stringMatching(/^E/) as string,
    interfaces: ["lo"],
  });
  server.close();
  await siege.expectGone(attacker);
});

test("symlink races: a folder that becomes a link while it is opened leads nowhere else", async () => {
  const secret = await mkdtemp(join(tmpdir(), "flotilla-secret-"));
  await writeFile(join(secret, "key"), "of the host");
  const attacker = await node.start(
    `import { spawn } from "node:child_process";
     import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
     const racer = (target) => \`
       const { mkdirSync, rmSync, symlinkSync } = require("node:fs");
       const attempt = (act) => { try { act(); } catch {} };
       for (;;) {
         attempt(() => rmSync("/tmp/race", { recursive: true }));
         attempt(() => symlinkSync(\${JSON.stringify(target)}, "/tmp/race"));
         attempt(() => rmSync("/tmp/race"));
         attempt(() => mkdirSync("/tmp/race"));
       }\`;
     export const run = (target) => {
       const child = spawn(process.execPath, ["-e", racer("../../../../.." + target)], { stdio: "ignore" });
       const found = [];
       const stopAtMs = Date.now() + 1_500;
       while (Date.now() < stopAtMs) {
         try { found.push(readFileSync("/tmp/race/key", "utf8")); } catch {}
         try { found.push(readFileSync("/tmp/race/../../.." + target + "/key", "utf8")); } catch {}
         try { writeFileSync("/tmp/race/../../runner/evil", "x"); found.push("wrote"); } catch {}
       }
       child.kill("SIGKILL");
       return found;
     };`,
    { resources: ROOMY },
  );
  const inputId = attacker.give(secret);
  await siege.expectUsable();
  expect((await node.answerTo(inputId)).value).toEqual([]);
  await rm(secret, { recursive: true });
  await siege.expectGone(attacker);
});
