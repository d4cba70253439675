import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readDisk, runCommand } from "./machine-access.ts";

test("a program's output is given, and nothing for one that is missing, fails or hangs", async () => {
  expect(await runCommand(process.execPath, ["-e", "console.log(1)"], 10_000)).toBe("1\n");
  expect(await runCommand("flotilla-no-such-program", [], 10_000)).toBeUndefined();
  expect(await runCommand(process.execPath, ["-e", "process.exit(3)"], 10_000)).toBeUndefined();
  expect(await runCommand(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], 50)).toBe(
    undefined,
  );
});

test("a folder's disk has free space and can be written, unless the folder is gone", async () => {
  const dir = await mkdtemp(join(tmpdir(), "flotilla-health-"));
  const disk = await readDisk(dir);
  expect(disk.isWritable).toBe(true);
  expect(disk.freeDiskMiB).toBeGreaterThan(0);
  await rm(dir, { recursive: true });
  await expect(readDisk(dir)).rejects.toThrow("ENOENT");
});
