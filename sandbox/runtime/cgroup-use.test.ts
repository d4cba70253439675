import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { cgroupUse } from "./cgroup-use.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "flotilla-cgroup-use-"));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Folders with these files, one for each hierarchy. */
function foldersWith(...hierarchies: readonly Readonly<Record<string, string>>[]): string[] {
  return hierarchies.map((files, index) => {
    const folder = join(root, String(index));
    mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return folder;
  });
}

const mebibytes = (count: number): string => `${count * 1024 * 1024}\n`;

test("version 1 has a hierarchy for the processor and one for memory", () => {
  const folders = foldersWith(
    { "cpuacct.usage": "2500000000\n", "cpu.stat": "nr_periods 4\nnr_throttled 0\n" },
    {
      "memory.usage_in_bytes": mebibytes(448),
      "memory.stat": `inactive_file 1\ntotal_inactive_file ${mebibytes(100)}`,
    },
  );
  expect(cgroupUse("co_1", folders)).toEqual({ cpuMs: 2_500, memoryMiB: 300 });
});

test("version 2 has one for all", () => {
  const folders = foldersWith({
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "memory.current": mebibytes(248),
    "memory.stat": `anon 5\ninactive_file ${mebibytes(100)}`,
  });
  expect(cgroupUse("co_1", folders)).toEqual({ cpuMs: 1_500, memoryMiB: 100 });
});

test("what gVisor itself takes is never less than nothing of the container's", () => {
  const folders = foldersWith({ "cpuacct.usage": "0", "memory.usage_in_bytes": mebibytes(20) });
  expect(cgroupUse("co_1", folders)).toEqual({ cpuMs: 0, memoryMiB: 0 });
});

test("a group that is gone has used nothing that is known", () => {
  expect(cgroupUse("co_1", [])).toBeUndefined();
  expect(cgroupUse("co_1", [join(root, "missing")])).toBeUndefined();
  expect(cgroupUse("co_1", foldersWith({ "cpuacct.usage": "7" }))).toBeUndefined();
});
