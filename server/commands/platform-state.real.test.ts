import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { isAlive } from "./platform-state.ts";

/** Field 22 of /proc/PID/stat. */
function startTicksOf(pid: number): string {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

test("a killed process that nobody has reaped is not alive", async () => {
  // The shell becomes `sleep`, which never asks how its child ended.
  const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"]);
  const [line] = (await once(createInterface({ input: parent.stdout }), "line")) as [string];
  const pid = Number(line);
  const state = { pid, startTicks: startTicksOf(pid), startedAtMs: 0 };
  expect(isAlive(state)).toBe(true);
  process.kill(pid, "SIGKILL");
  await expect.poll(() => isAlive(state)).toBe(false);
  expect(readFileSync(`/proc/${pid}/stat`, "utf8")).toContain(") Z ");
  parent.kill("SIGKILL");
});
