/** A container with a disk of its own: what it may write there, and what a full one does. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROOMY, Siege } from "./siege.ts";
import type { TestContainer, TestNode } from "./test-node.ts";

const DISK_MIB = 32;

let siege: Siege;
let node: TestNode;

beforeAll(async () => {
  siege = await Siege.open();
  node = siege.node;
});

afterAll(async () => {
  await siege.close();
});

function startWithDisk(source: string, diskMiB = DISK_MIB): Promise<TestContainer> {
  return node.start(source, { resources: ROOMY, diskMiB });
}

test("disk fill: the root is full at its limit, says so, and is usable again when emptied", async () => {
  const attacker = await startWithDisk(
    `import { mkdirSync, writeFileSync, rmSync, readFileSync } from "node:fs";
     let count = 0;
     const fill = () => {
       mkdirSync("/data", { recursive: true });
       for (count = 0; count < 4096; count += 1) writeFileSync("/data/" + count, Buffer.alloc(1 << 20, 1));
     };
     const filled = () => { try { fill(); } catch (error) { return [count, error.code]; } };
     const again = () => {
       rmSync("/data", { recursive: true });
       writeFileSync("/after", "room");
       return readFileSync("/after", "utf8");
     };
     export const run = (what) => ({ fill, filled, again })[what]();`,
  );
  const [count, code] = (await attacker.call("filled")) as [number, string];
  expect(code).toBe("ENOSPC");
  expect(count).toBeGreaterThan(DISK_MIB / 2);
  expect(count).toBeLessThan(DISK_MIB);
  await siege.expectUsable();
  await expect(attacker.call("fill")).rejects.toThrow(
    /ENOSPC.* \[\/tmp holds 256 MiB, the root 32 MiB \(diskMiB\)\]/,
  );
  expect(await attacker.call("again")).toBe("room");
  await siege.expectGone(attacker);
});

test("folders of the root can be written to, as a user without rights and without set-user-id", async () => {
  const container = await startWithDisk(
    `import { accessSync, constants, readdirSync, writeFileSync, chmodSync, statSync } from "node:fs";
     import { execFileSync } from "node:child_process";
     const isWritable = (path) => { try { accessSync(path, constants.W_OK); return true; } catch { return false; } };
     export const run = () => {
       writeFileSync("/bin/mine", "#!/bin/sh\\nid -u\\n");
       chmodSync("/bin/mine", 0o4755);
       return {
         who: execFileSync("/bin/mine", { encoding: "utf8" }).trim(),
         owner: statSync("/bin/mine").uid,
         shut: ["/", "/etc", "/usr", "/home", "/var", "/bin"].filter((path) => !isWritable(path)),
       };
     };`,
  );
  expect(await container.call()).toEqual({ who: "65534", owner: 65_534, shut: [] });
  await siege.expectGone(container);
});

test("what one container writes is neither another's nor the base's", async () => {
  const source = `import { existsSync, writeFileSync } from "node:fs";
    export const run = () => {
      const was = existsSync("/etc/mine");
      writeFileSync("/etc/mine", "mine");
      return was;
    };`;
  const containers = [await startWithDisk(source), await startWithDisk(source)];
  for (const container of containers) expect(await container.call()).toBe(false);
  for (const container of containers) await siege.expectGone(container);
  expect(await (await startWithDisk(source)).call()).toBe(false);
});

test("inodes run out as bytes do, and a file larger than the disk is cut", async () => {
  const attacker = await startWithDisk(
    `import { writeFileSync, openSync, writeSync } from "node:fs";
     export const run = () => {
       const results = {};
       const file = openSync("/usr/large", "w");
       try { for (let count = 0; count < 200_000; count += 1) writeFileSync("/f" + count, ""); }
       catch (error) { results.files = error.code; }
       try { for (;;) writeSync(file, Buffer.alloc(1 << 20, 1)); }
       catch (error) { results.bytes = error.code; }
       return results;
     };`,
    16,
  );
  expect(await attacker.call()).toEqual({ files: "ENOSPC", bytes: "ENOSPC" });
  await siege.expectGone(attacker);
});

test("a disk that the machine has no room for is a start that says so, and leaves nothing", async () => {
  await expect(startWithDisk("export const run = () => 1;", 900_000_000)).rejects.toThrow(
    /a container's disk of 900000000 MiB cannot be made: this node has \d+ MiB for such disks/,
  );
  await siege.expectUsable();
  expect(existsSync(join(node.dir, "bundles", "co_attack7"))).toBe(false);
});
