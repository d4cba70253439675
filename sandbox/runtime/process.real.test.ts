import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { testRuntime } from "./conformance.ts";
import { writeGuest } from "./guest.ts";
import { createProcessRuntime } from "./process.ts";
import { tracesOf } from "./traces.ts";

testRuntime(
  "process",
  async () => {
    const dir = await mkdtemp(join(tmpdir(), "flotilla-process-"));
    const runnerDir = await writeGuest(join(dir, "runner"));
    return {
      runtime: createProcessRuntime({ dir, runnerDir }),
      traces: (containerId) => Promise.resolve(tracesOf(dir, containerId)),
      close: () => rm(dir, { recursive: true }),
    };
  },
  ({ bench, start }) => {
    it("names itself as no isolation", () => {
      expect(bench().runtime.isolation).toBe("process");
    });

    it("works in a folder of its own, which is its temporary folder", async () => {
      const guest = await start();
      const { cwd } = (await guest.ask("whoami")) as { readonly cwd: string };
      expect(cwd).toContain(guest.containerId);
      expect(await guest.ask("env")).toMatchObject({ TMPDIR: cwd });
    });

    it("takes a kill by somebody else for the kernel's, out of memory", async () => {
      const guest = await start();
      await guest.ask("abort").catch(() => undefined);
      expect(await guest.exited).toEqual({
        exitCode: undefined,
        signal: "SIGKILL",
        outOfMemory: true,
      });
    });
  },
);
