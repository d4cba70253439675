/** Code that takes all there is of something, next to a container that must answer meanwhile. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { FILES_MAX, PIDS_MAX, TMP_MIB } from "../runtime/oci-spec.ts";
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

test("fork bomb: processes that start processes stay within their container", async () => {
  const bomb =
    "const { spawn } = require('child_process'); " +
    "for (let i = 0; i < 4; i += 1) spawn(process.execPath, ['-e', process.env.BOMB], " +
    "{ stdio: 'ignore' }).on('error', () => {}); setInterval(() => {}, 1000)";
  const attacker = await node.start(
    `import { spawn } from "node:child_process";
     export const run = (bomb) => {
       const env = { ...process.env, BOMB: bomb };
       for (let count = 0; count < 4; count += 1) {
         spawn(process.execPath, ["-e", bomb], { stdio: "ignore", env }).on("error", () => {});
       }
       return new Promise(() => {});
     };`,
    { resources: ROOMY },
  );
  attacker.give(bomb);
  for (let round = 0; round < 5; round += 1) await siege.expectUsable();
  await siege.expectGone(attacker);
});

test("thread and open file bombs end at the container's limits", async () => {
  const attacker = await node.start(
    `import { openSync } from "node:fs";
     export const run = () => {
       try { for (let count = 0; ; count += 1) openSync("/dev/null"); }
       catch (error) { return error.code; }
     };`,
  );
  expect(await attacker.call()).toBe("EMFILE");
  expect(FILES_MAX).toBeLessThanOrEqual(4_096);
  expect(PIDS_MAX).toBeLessThanOrEqual(512);
  await siege.expectGone(attacker);
});

test("memory bomb: the container ends as out of memory, and its neighbour does not notice", async () => {
  const attacker = await node.start(
    `const held = [];
     export const run = () => { for (;;) held.push(Buffer.alloc(8 << 20, 1)); };`,
  );
  const inputId = attacker.give();
  await siege.expectUsable();
  const { kind, message } = await attacker.exit();
  expect({ kind, message }).toEqual({
    kind: "out_of_memory",
    message: expect.stringMatching(
      /^the container ran out of its 256 MiB of memory; give/,
    ) as string,
  });
  expect(await node.answerTo(inputId)).toMatchObject({ error: { code: "out_of_memory" } });
  await siege.expectGone(attacker);
});

test("disk fill: every folder that can be written is full at its limit", async () => {
  const attacker = await node.start(
    `import { writeFileSync, readdirSync, accessSync, constants, statSync } from "node:fs";
     const fill = (folder) => {
       for (let count = 0; count < 4096; count += 1) {
         try { writeFileSync(folder + "/" + count, Buffer.alloc(1 << 20, 1)); }
         catch (error) { return [count, error.code]; }
       }
       return [4096, "none"];
     };
     const isWritable = (path) => { try { accessSync(path, constants.W_OK); return true; } catch { return false; } };
     const folders = (path, depth) => {
       let names = [];
       try { names = readdirSync(path, { withFileTypes: true }); } catch {}
       const below = names.filter((one) => one.isDirectory())
         .map((one) => (path === "/" ? "" : path) + "/" + one.name)
         .filter((one) => !one.startsWith("/proc") && !one.startsWith("/sys/"));
       return [path, ...(depth > 0 ? below.flatMap((one) => folders(one, depth - 1)) : [])];
     };
     export const run = () => Object.fromEntries(
       folders("/", 3).filter(isWritable).map((folder) => [folder, fill(folder)]),
     );`,
    { resources: ROOMY },
  );
  expect(await attacker.call()).toEqual({
    "/dev/shm": [64, "ENOSPC"],
    "/tmp": [expect.toSatisfy((count: number) => count <= TMP_MIB), "ENOSPC"],
  });
  await siege.expectGone(attacker);
});

test.each([
  ["past the runner", "write(1, chunk); write(2, chunk);"],
  ["through the runner", "process.stdout.write(chunk);"],
])("output flood %s: it is cut with a word about it, and nobody waits", async (_, print) => {
  const attacker = await node.start(
    `import { writeSync } from "node:fs";
     const write = (fd, bytes) => {
       while (bytes.length > 0) { try { bytes = bytes.subarray(writeSync(fd, bytes)); } catch {} }
     };
     const chunk = Buffer.from(("x".repeat(1023) + "\\n").repeat(1024));
     export const run = () => {
       const stopAtMs = Date.now() + 3_000;
       let mebibytes = 0;
       for (; mebibytes < 300 && Date.now() < stopAtMs; mebibytes += 1) { ${print} }
       return mebibytes;
     };`,
  );
  const inputId = attacker.give();
  for (let round = 0; round < 5; round += 1) await siege.expectUsable();
  const { value } = await node.answerTo(inputId);
  expect(value).toBeGreaterThan(1);
  attacker.stop();
  await attacker.exit();
  const { bytes, tellsOfDropped } = attacker.logged;
  expect(tellsOfDropped).toBe(true);
  expect(bytes).toBeLessThan(8 * 1024 * 1024);
  await siege.expectGone(attacker);
});

test("an endless input ends at its limit, and what it started with it", async () => {
  const attacker = await node.start(
    `import { spawn } from "node:child_process";
     export const run = () => {
       spawn(process.execPath, ["-e", "process.on('SIGTERM', () => {}); for (;;);"], { detached: true, stdio: "ignore" }).unref();
       process.on("SIGTERM", () => {});
       for (;;);
     };`,
    { timeoutMs: 1_000 },
  );
  attacker.give();
  await siege.expectUsable();
  expect(await attacker.exit()).toMatchObject({ kind: "timed_out" });
  expect(attacker.traces).toEqual([]);
  expect(node.errors).toEqual([]);
});
