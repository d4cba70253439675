import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { expect, test } from "vitest";
import { mountsUnder, processesOf, sweep } from "./sweep.ts";

test("a process that only inherited the folder's path is ended, another run's is not", async () => {
  const [mine, other] = ["mine", "other"].map((name) =>
    mkdtempSync(join(tmpdir(), `flotilla-sweep-${name}-`)),
  );
  const start = (home: string) =>
    spawn("sleep", ["60"], { env: { ...process.env, FLOTILLA_HOME: home }, detached: true });
  const [doomed, spared] = [start(mine!), start(other!)];
  await Promise.all([once(doomed, "spawn"), once(spared, "spawn")]);
  const ended = once(doomed, "exit");
  expect((await sweep(mine!)).processes).toBe(1);
  await ended;
  expect(existsSync(mine!)).toBe(false);
  expect(processesOf(other!)).toEqual([spared.pid]);
  spared.kill("SIGKILL");
  await sweep(other!);
});

test.runIf(process.getuid?.() === 0)("nested mounts are unmounted, deepest first", async () => {
  const folder = mkdtempSync(join(tmpdir(), "flotilla-sweep-"));
  for (const path of [join(folder, "a"), join(folder, "a", "b")]) {
    mkdirSync(path);
    expect(spawnSync("mount", ["-t", "tmpfs", "none", path]).status).toBe(0);
  }
  expect(mountsUnder(folder)).toEqual([join(folder, "a", "b"), join(folder, "a")]);
  expect(await sweep(folder)).toEqual({ processes: 0, mounts: 2 });
  expect(mountsUnder(folder)).toEqual([]);
  expect(existsSync(folder)).toBe(false);
});
