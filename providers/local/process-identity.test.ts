import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { processIdentity, startTicksOf } from "./process-identity.ts";

/** A line of `/proc/PID/stat`, recorded on Linux 6.8; the start is its 22nd field. */
function statOf(name: string, state: string): string {
  return `4242 (${name}) ${state} 1 4242 4242 0 -1 4194560 97 0 0 0 0 0 0 0 20 0 1 0 2241137 3129344 224 1844\n`;
}

it("reads the start of a process, whatever its name holds", () => {
  for (const name of ["sleep", "a b", "x) R 1 2 3", "(((", ") S 1"]) {
    expect(startTicksOf(statOf(name, "S"))).toBe("2241137");
  }
});

it("takes a zombie for ended", () => {
  expect(startTicksOf(statOf("sleep", "Z"))).toBeUndefined();
  expect(startTicksOf(statOf("sleep", "X"))).toBeUndefined();
});

it("names a living process the same each time, others otherwise, and an ended one not at all", async () => {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  const identity = await processIdentity(pid);
  expect(identity).toMatch(/^[0-9a-f-]{36}\/\d+$/);
  expect(await processIdentity(pid)).toBe(identity);
  expect(await processIdentity(process.pid)).not.toBe(identity);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await processIdentity(pid)).toBeUndefined();
});
