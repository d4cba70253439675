import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { preparePythonImage } from "./python-image.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "flotilla-python-image-"));
});
afterEach(async () => rm(dir, { recursive: true }));

test("several who ask at once get one image, whole, and nothing half-made stays", async () => {
  const roots = await Promise.all([1, 2, 3].map(() => preparePythonImage(dir)));
  expect(new Set(roots).size).toBe(1);
  const [root = ""] = roots;
  expect((await readdir(dir)).map((name) => join(dir, name))).toEqual([root]);
  const program = await readlink(join(root, "bin/python3"));
  expect((await stat(join(root, program))).mode & 0o777).toBe(0o755);
});

test.runIf(process.getuid?.() === 0)(
  "its Python runs in it alone, with its extension modules",
  async () => {
    const root = await preparePythonImage(dir);
    const script =
      "import asyncio, ctypes, sqlite3, ssl, uuid, zoneinfo; print(ssl.OPENSSL_VERSION)";
    const args = [root, "/bin/python3", "-c", script];
    expect(execFileSync("/usr/sbin/chroot", args, { encoding: "utf8", env: {} })).toMatch(
      /^OpenSSL/,
    );
  },
);
