import { expect, test } from "vitest";
import type { WireError } from "../../sdk/protocol/index.ts";
import { explainDisk } from "./full-disk.ts";
import type { AgentResult } from "./link.ts";

const resources = { gpuCount: 0, cpuMilli: 500, memoryMiB: 128 };
const full = { name: "Error", message: "ENOSPC: no space left on device, write" };

function messageOf(error: WireError, diskMiB?: number): string | undefined {
  const result: AgentResult = {
    inputId: "in_1",
    outcome: "failed",
    bytes: 0,
    runMs: 1,
    error,
  };
  const start = { resources, ...(diskMiB === undefined ? {} : { diskMiB }) };
  return explainDisk(result, start).error?.message;
}

test("a full disk names every limit that it may have met, and the option for more", () => {
  expect(messageOf(full)).toBe(
    `${full.message} [/tmp holds 128 MiB, the root is read-only; diskMiB gives it a disk]`,
  );
  expect(messageOf(full, 64)).toBe(
    `${full.message} [/tmp holds 128 MiB, the root 64 MiB (diskMiB)]`,
  );
});

test("Python's words for it are known too", () => {
  const python = { name: "OSError", message: "[Errno 28] No space left on device: '/data'" };
  expect(messageOf(python, 64)).toContain("diskMiB");
});

test("a read-only root says what can be written to, and nothing where there is a disk", () => {
  const readOnly = { name: "Error", message: "EROFS: read-only file system, open '/x'" };
  expect(messageOf(readOnly)).toBe(
    `${readOnly.message} [only /tmp can be written to; diskMiB gives it a disk]`,
  );
  expect(messageOf(readOnly, 64)).toBe(readOnly.message);
});

test("other errors, and those of the platform, stay as they are", () => {
  for (const message of ["ENOSPCX", "spaces left", "EACCES: permission denied"]) {
    expect(messageOf({ name: "Error", message }, 64)).toBe(message);
  }
  expect(messageOf({ ...full, code: "out_of_memory" })).toBe(full.message);
});
